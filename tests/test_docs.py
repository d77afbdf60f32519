"""What the pages name is there: tests, and options of `tips`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from tips_model.registry import list_models
from ui.cli import cli

ROOT = Path(__file__).parents[1]
OF_A_USER = ("service", "threats", "sharing", "keeping", "app")
"""Pages whose options are all those of `tips`."""


def options(command: click.Command, context: click.Context) -> set[str]:
    """The options of a command and of those below it."""
    found = {name for parameter in command.params for name in parameter.opts}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= options(below, context)
    return found


@pytest.mark.parametrize("page", OF_A_USER)
def test_options_on_the_pages_are_those_of_the_command(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))
    assert named
    assert named <= options(cli, click.Context(cli))


def test_every_threat_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "threats.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 40
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        assert name in {node.name for node in tree.body if isinstance(node, kinds)}, (
            f"{file} {name}"
        )
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert all("::" in row for row in rows)


def test_the_sizes_of_models_are_those_of_their_towers() -> None:
    million = {"M": 1.0, "B": 1000.0}
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([\d.]+) ([MB]) \+ ([\d.]+) M \|",
        (ROOT / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 5
    sizes = {model.name: model.parameters / 1e6 for model in list_models()}
    for name, seeing, unit, reading in rows:
        stated = float(seeing) * million[unit] + float(reading)
        assert stated == pytest.approx(sizes[name], rel=0.04), name
