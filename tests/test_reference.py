"""The generated part of the documentation: it is there, and it says what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from docs.reference import (
    ARCHITECTURE,
    PAGES,
    commands,
    dotted,
    linked,
    modules,
    modules_page,
    phrase,
    with_tree,
)
from ui.cli import cli

ROOT = Path(__file__).parents[1]


def test_the_tree_of_files_is_that_of_the_repository() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert text == with_tree(text), "run `python docs/reference.py`"


def test_every_module_says_what_it_is_in_a_phrase() -> None:
    found = list(modules())
    assert len(found) > 300
    for file in found:
        assert len(phrase(file)) > 3, file


def test_every_command_is_in_the_reference_with_its_options() -> None:
    text = commands()
    assert text.startswith("# tips\n")
    for name, command in cli.commands.items():
        part = text.partition(f"\n## tips {name}\n")[2]
        assert part, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[0] in part, f"{name} {parameter.opts[0]}"
    assert "\n### tips data parquet\n" in text


def test_every_module_has_a_page() -> None:
    named = re.findall(r"\]\(api/([\w.]+)\.md\)", modules_page())
    assert named == [dotted(file) for file in modules()]


@pytest.mark.parametrize(
    ("text", "inside", "expected"),
    [
        ("[a](docs/app.md)", False, "[a](app.md)"),
        ("[a](docs/app.md#x)", False, "[a](app.md#x)"),
        ("[a](CHANGELOG.md)", False, "[a](changelog.md)"),
        ("[a](search/filters.py)", False, "a"),
        ("[a](https://x.org/y)", False, "[a](https://x.org/y)"),
        ("[a](#part)", True, "[a](#part)"),
        ("[a](app.md)", True, "[a](app.md)"),
        ("[a](../bench/app.py)", True, "a"),
        ("[a](screenshots)", True, "a"),
    ],
)
def test_links_lead_where_the_documentation_has_their_page(
    text: str, inside: bool, expected: str
) -> None:
    assert linked(text, inside=inside) == expected


def test_the_pages_of_the_top_are_there() -> None:
    assert all((ROOT / source).is_file() for source in PAGES.values())


def test_the_changelog_has_the_version_and_the_usual_parts() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", releases[1])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


def test_every_recipe_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(
        re.findall(r"(?<![\w/])((?:tests|docs|ui|search|indexer|tips_model)/[\w/.]+)", text)
    )
    named = {name.rstrip(".") for name in named if "NAME" not in name}
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
