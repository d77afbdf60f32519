"""`tips rebuild --qdrant`: to a server over HTTP, killed on the way, and back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tenacity.nap

from indexer.server.layout import QUANTIZATIONS
from tests.indexer.server.qdrant_http import Answer, FakeQdrant, error, fake_qdrant
from tests.ui.conftest import tips
from ui import options

ROOT = Path(__file__).parents[3]
# Small requests, so that there are many to be killed in.
CODE = "import indexer.server.writer as w; w._UPLOAD = 16; from ui.cli import main; main()"

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")


@pytest.fixture
def server() -> Iterator[FakeQdrant]:
    with fake_qdrant() as running:
        yield running


@pytest.fixture
def mine(collection: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(collection, tmp_path / "mine"))


def engine(folder: Path) -> dict[str, object]:
    settings = json.loads((folder / "collection.json").read_text())
    found: dict[str, object] = settings["engine"]
    return found


def names(server: FakeQdrant) -> set[str]:
    return {c.name.rpartition("-")[0] for c in server.client.get_collections().collections}


def test_to_a_server_and_back(
    mine: Path, server: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "hush")
    layout = ("--shards", 3, "--quantization", "turbo4")
    moved = tips("rebuild", "--qdrant", f"{server.url}/", *layout, "-c", mine)
    assert moved.exit_code == 0, moved.output
    assert "vectors are still there" in " ".join(moved.stderr.split())
    asked = engine(mine)
    assert asked.pop("prefix", "").startswith("tips-mine-")  # type: ignore[attr-defined]
    assert asked == {
        "kind": "server",
        "url": server.url,
        "shards": 3,
        "quantization": "turbo4",
    }
    assert "hush" not in (mine / "collection.json").read_text()
    assert f"{server.url} (3 shards, 1 replica, turbo4)" in tips("status", "-c", mine).stdout
    assert json.loads(tips("verify", "-c", mine, "--json").stdout)["sound"] is True
    assert tips("search", "disc", "-n", 3, "--all", "-f", "-c", mine).stdout.count("\n") == 3

    again = tips("rebuild", "-c", mine)  # stays where it is, as it is laid out
    assert again.exit_code == 0, again.output
    assert (names(server), engine(mine)["shards"]) == (
        {f"{engine(mine)['prefix']}-{kind}" for kind in ("images", "regions")},
        3,
    )
    back = tips("rebuild", "--embedded", "--drop-old", "-c", mine)
    assert back.exit_code == 0, back.output
    assert engine(mine) == {"kind": "embedded"}
    assert not names(server)
    assert json.loads(tips("verify", "-c", mine, "--json").stdout)["sound"] is True


def test_a_killed_move_leaves_the_collection_and_goes_on_where_it_stood(
    mine: Path, server: FakeQdrant
) -> None:
    command = [sys.executable, "-c", CODE, "rebuild", "--qdrant", server.url, "-c", str(mine)]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:

        def kill(verb: str, path: str, n: int) -> Answer | None:
            if verb == "PUT" and path.endswith("/points") and n == 12:
                process.send_signal(signal.SIGKILL)
            return None

        server.fault = kill
        process.wait()
    server.fault = None
    assert process.returncode == -signal.SIGKILL
    assert engine(mine) == {"kind": "embedded"}
    assert json.loads(tips("verify", "-c", mine, "--json").stdout)["sound"] is True

    uploaded = server.points
    assert tips("rebuild", "--qdrant", server.url, "--drop-old", "-c", mine).exit_code == 0
    facts = json.loads(tips("status", "-c", mine, "--json").stdout)
    assert 0 < uploaded < server.points
    assert server.points == facts["images"] + facts["regions"]  # none was sent twice
    assert not (mine / "vectors").exists()
    assert json.loads(tips("verify", "-c", mine, "--json").stdout)["sound"] is True


def test_a_server_that_is_away_or_refuses_changes_nothing(
    mine: Path, server: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    before = (mine / "collection.json").read_bytes()
    server.fault = lambda verb, path, n: error(401)
    full = error(500, "No space left on device: WAL buffer size exceeds available disk space")
    for fault, words in (
        (lambda verb, path, n: error(401), "refused the key; set $QDRANT_API_KEY"),
        (lambda verb, path, n: full if path.endswith("points") else None, "server is full"),
    ):
        server.fault = fault
        result = tips("rebuild", "--qdrant", server.url, "-c", mine)
        assert (result.exit_code, words in " ".join(result.stderr.split())) == (2, True)
    server.fault = None
    result = tips("rebuild", "--qdrant", server.url, "--replicas", 2, "-c", mine)
    assert "2 replicas need as many nodes" in " ".join(result.stderr.split())
    assert (mine / "collection.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rebuild", "--shards", 2), "are for vectors on a server"),
        (("rebuild", "--embedded", "--replicas", 2), "are for vectors on a server"),
        (("rebuild", "--qdrant", "localhost"), "is not the address of a Qdrant server"),
        (("rebuild", "--qdrant", "http://u:p@host"), "remove names and keys"),
        (("rebuild", "--qdrant", "http://h", "--write-consistency", 2), "cannot wait for 2"),
        (("index", "--replicas", 2), "have another layout"),
    ],
)
def test_wrong_calls_are_sentences(
    collection: Path, arguments: tuple[object, ...], words: str
) -> None:
    result = tips(*arguments, "-c", collection)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_the_options_name_every_quantization() -> None:
    assert options.QUANTIZATIONS == QUANTIZATIONS
