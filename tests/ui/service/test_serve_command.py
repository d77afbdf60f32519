"""`tips serve` as a process, and the calls that it refuses."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.ui.conftest import tips
from ui.commands.serve import take_tokens
from ui.service.server import bind

TOKEN = "a-long-enough-token"
SECONDS = 120
START = "import sys; from ui.cli import main; main()"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "photos.example.org"])
def test_another_address_needs_a_token(
    host: str, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_TOKEN", "")
    result = tips("serve", "-c", collection, "--host", host)
    assert result.exit_code == 2
    assert f"{host} is reached from other machines" in result.output
    assert "TIPS_TOKEN" in result.output


WRONG = {
    "no collection": (["-c", "{tmp}/none"], "There is no collection in"),
    "no rate": (["--rate-limit", "often"], "--rate-limit 'often' cannot be read"),
    "a rate of nothing": (["--rate-limit", "0/second"], "lets nobody ask"),
    "no origin": (["--cors", "photos.example.org"], "is no origin; write it as in"),
    "a page for an origin": (["--cors", "https://photos.example.org/"], "without a path"),
    "a name with a port": (["--allow-host", "photos.example.org:80"], "without a port"),
    "an address for a name": (["--allow-host", "http://photos"], "is no name of a host"),
    "a name for a proxy": (["--trust-proxy", "my-proxy"], "is no address; write it as in"),
    "no such name": (
        ["--host", "photos.invalid", "--token-file", "{tmp}/long"],
        "photos.invalid:8765 cannot be used (Name or service not known); choose",
    ),
    "no root": (["--allow-index", "{tmp}/none"], "does not exist"),
    "an empty token file": (["--token-file", "{tmp}/empty"], "has no token"),
    "a short token": (["--token-file", "{tmp}/short"], "at least 16 characters"),
    "a token of other letters": (["--token-file", "{tmp}/letters"], "ASCII"),
    "a token file that is no text": (["--token-file", "{tmp}/bytes"], "is no text"),
    "a port in use": (
        ["--port", "{port}"],
        "cannot be used (Address already in use); choose",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_refused_with_a_sentence(
    name: str, collection: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("# no token yet\n\n")
    (tmp_path / "long").write_text("a-long-enough-token")
    (tmp_path / "short").write_text("short")
    (tmp_path / "letters").write_text("ein-sehr-langes-Kännchen")
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    arguments, sentence = WRONG[name]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"tmp": tmp_path, "port": taken.getsockname()[1]}
        given = [argument.format(**values) for argument in arguments]
        result = tips("serve", *(["-c", collection] if "-c" not in given else []), *given)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())


def test_tokens_come_from_the_environment_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# of the phone\n{TOKEN}-1\n\n  {TOKEN}-2\n")
    monkeypatch.setenv("TIPS_TOKEN", TOKEN)
    assert take_tokens(file) == (TOKEN, f"{TOKEN}-1", f"{TOKEN}-2")
    assert take_tokens(None) == ()  # not handed on to index jobs and decoders


def test_answers_are_sent_at_once() -> None:
    with bind("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with socket.create_connection(address), listening.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`tips serve` and its address; ended if it has not ended itself."""
    command = [sys.executable, "-c", START, "serve", "--port", "0", *map(str, arguments)]
    child = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    lines: queue.Queue[str] = queue.Queue()
    child.said = []  # type: ignore[attr-defined]

    def read() -> None:
        assert child.stderr is not None
        for line in child.stderr:
            child.said.append(line)  # type: ignore[attr-defined]
            lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        found = re.search(r"on (http://\S+)", lines.get(timeout=SECONDS))
        assert found
        yield child, found[1]
    finally:
        child.kill()
        child.wait()
        reader.join()
        assert child.stderr is not None
        child.stderr.close()


def test_a_service_starts_answers_and_ends_in_order(calibrated: Path) -> None:
    with process("-c", calibrated, TIPS_TOKEN=TOKEN) as (child, address):
        transport = httpx.HTTPTransport(retries=20)
        shown = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=address, transport=transport, timeout=SECONDS) as http:
            assert http.get("/healthz").json() == {"status": "alive"}
            assert http.get("/v1/collections").status_code == 401
            while http.get("/readyz").status_code != 200:
                threading.Event().wait(0.1)
            body = {"q": "private words", "all": True}
            assert http.post("/v1/search", json=body, headers=shown).json()["hits"]
        child.send_signal(signal.SIGTERM)
        assert child.wait(SECONDS) == 0
    said: list[str] = child.said  # type: ignore[attr-defined]
    assert said[-1] == "The service has ended.\n"
    assert "private" not in "".join(said)
    assert TOKEN not in "".join(said)
    lines = [json.loads(line) for line in said if line.startswith("{")]
    assert {line["path"] for line in lines if "path" in line} >= {"/healthz", "/v1/search"}
