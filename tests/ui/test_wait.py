"""`--wait`: with seconds and without, before folders and after them."""

from __future__ import annotations

import math
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from indexer.collection import Collection
from tests.indexer.colours import ColourEmbedder
from ui.cli import cli
from ui.options import WaitingCommand, wait_option


@click.command(cls=WaitingCommand)
@click.argument("paths", nargs=-1)
@wait_option
def probe(paths: tuple[str, ...], wait: float | None) -> None:
    """Print what was understood."""
    click.echo(f"{paths} {wait}")


@pytest.mark.parametrize(
    ("line", "paths", "wait"),
    [
        ("a", ("a",), None),
        ("--wait a b", ("a", "b"), math.inf),
        ("a --wait", ("a",), math.inf),
        ("--wait 2.5 a", ("a",), 2.5),
        ("--wait=3 a", ("a",), 3.0),
        ("--wait -- 7", ("7",), math.inf),
        ("-- --wait", ("--wait",), None),
    ],
)
def test_the_seconds_may_be_left_out(line: str, paths: tuple[str, ...], wait: float | None) -> None:
    assert CliRunner().invoke(probe, line.split()).output == f"{paths} {wait}\n"


@pytest.mark.parametrize("command", ["index", "rebuild", "verify --repair", "prune --failed --yes"])
def test_a_writer_that_waits_says_for_whom_and_gives_up(tmp_path: Path, command: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    collection = Collection.create(tmp_path / "c", ColourEmbedder().info)
    collection.add_roots([str(photos)])
    line = [*command.split(), "-c", str(collection.folder), "--wait", "0.4"]
    with collection.lock():
        result = CliRunner().invoke(cli, line)
    assert result.exit_code == 2
    assert "Waiting for process " in result.stderr
    assert "is being written by process " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("seconds", ["nan", "-1", "soon"])
def test_what_is_no_time_is_refused(seconds: str) -> None:
    result = CliRunner().invoke(probe, ["a", f"--wait={seconds}"])
    assert result.exit_code == 2
    assert "Invalid value for '--wait'" in result.output
