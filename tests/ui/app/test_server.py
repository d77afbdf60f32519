"""`tips ui` as people start it: a server on this machine only."""

from __future__ import annotations

import http.client
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.app.browser import start
from ui.commands.ui import streamlit_command


@pytest.fixture(scope="module")
def server(collection: Path) -> Iterator[str]:
    """The address of a running app."""
    address, process = start(collection)
    try:
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_default_address_is_this_machine_only() -> None:
    assert "--server.address=localhost" in streamlit_command("localhost", 8501, browser=False)


def test_the_server_answers_and_stops_at_ctrl_c(server: str) -> None:
    with urllib.request.urlopen(server) as answer:
        assert b"<html" in answer.read()


@pytest.mark.parametrize("path", ["thumb/x/" + "0" * 32, "photo/x/" + "0" * 32, "export/x/y.csv"])
def test_pictures_need_the_page(server: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server}/{path}")


def test_who_ends_the_command_ends_the_server(collection: Path) -> None:
    address, process = start(collection)
    process.terminate()
    assert process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/_stcore/health")


def test_the_page_advertises_nothing() -> None:
    command = streamlit_command("localhost", 8501, browser=True)
    assert "--logger.hideWelcomeMessage=true" in command


def test_the_theme_lies_where_streamlit_looks_for_it() -> None:
    config = Path(streamlit_command("localhost", 1, browser=False)[5]).parent / ".streamlit"
    assert (config / "config.toml").is_file()
    assert os.access(config / "config.toml", os.R_OK)


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 400), (None, 101)])
def test_a_page_of_another_site_cannot_talk_to_the_app(
    server: str, origin: str | None, status: int
) -> None:
    """Not even one whose name was made to point here: the browser says where it comes from."""
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
    headers = {
        "Host": "evil.example" if origin else server.removeprefix("http://"),
        "Origin": origin or server,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    }
    connection.request("GET", "/_stcore/stream", headers=headers)
    with connection.getresponse() as answer:
        assert answer.status == status
    connection.close()


@pytest.mark.parametrize("path", ["", "thumb/x/" + "0" * 32])
def test_the_app_answers_to_its_own_names_only(server: str, path: str) -> None:
    request = urllib.request.Request(f"{server}/{path}", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
