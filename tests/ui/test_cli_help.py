"""Help is the documentation that people read: every command has it, with an example that is one."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from ui.cli import cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_sentence_and_an_example_of_itself(name: str) -> None:
    help_text = COMMANDS[name].help or ""
    sentence, _, example = help_text.partition("Example:")
    assert sentence.strip().endswith(".") or ".\n" in sentence
    assert f"tips {name}" in example


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def called(words: list[str]) -> click.Command:
    """The command that a command line runs: the deepest one that its words name."""
    depth = max(n for n in (1, 2) if n == 1 or " ".join(words[1:3]) in COMMANDS)
    return COMMANDS[" ".join(words[1 : 1 + depth])]


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_commands_and_options_that_exist(name: str) -> None:
    example = (COMMANDS[name].help or "").partition("Example:")[2]
    lines = [shlex.split(line.partition("|")[0]) for line in example.splitlines()]
    for words in lines:
        if words[:1] == ["tips"]:
            options = [p for p in called(words).params if isinstance(p, click.Option)]
            known = {name for option in options for name in (*option.opts, *option.secondary_opts)}
            used = {word.partition("=")[0] for word in words if word.startswith("-")}
            assert used <= known, words


def test_help_and_version_import_no_heavy_library() -> None:
    code = (
        "import sys; from ui.cli import cli\n"
        "for arguments in (['--help'], ['--version'], ['search', '--help']):\n"
        "    cli.main(arguments, prog_name='tips', standalone_mode=False)\n"
        "heavy = {'torch', 'lancedb', 'polars', 'numpy', 'streamlit', 'PIL', 'qdrant_client'}\n"
        "print('heavy:', *sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1].strip() == "heavy:"
    assert "tips, version" in run.stdout
