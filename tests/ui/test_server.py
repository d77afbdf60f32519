"""`tips ui` as people start it: a server on this machine only, and a page in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.commands_ui import streamlit_command

from .conftest import HOSTILE

SECONDS = 180  # at most: a loaded machine needs a minute to import everything
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def start(collection: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """The address of an app that answers, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from ui.cli import main; main()", "ui", "--no-browser"]
    process = subprocess.Popen([*command, "--port", str(port), "-c", str(collection)])
    address = f"http://localhost:{port}"
    _wait_until_healthy(address, process)
    return address, process


@pytest.fixture(scope="module")
def server(collection: Path) -> Iterator[str]:
    """The address of a running app."""
    address, process = start(collection)
    try:
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health") as answer:
                assert answer.read() == b"ok"
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    process.kill()
    pytest.fail("the app did not start")


def test_the_default_address_is_this_machine_only() -> None:
    assert "--server.address=localhost" in streamlit_command("localhost", 8501, browser=False)


def test_the_server_answers_and_stops_at_ctrl_c(server: str) -> None:
    with urllib.request.urlopen(server) as answer:
        assert b"<html" in answer.read()


def test_who_ends_the_command_ends_the_server(collection: Path) -> None:
    address, process = start(collection)
    process.terminate()
    assert process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/_stcore/health")


def test_the_page_advertises_nothing() -> None:
    command = streamlit_command("localhost", 8501, browser=True)
    assert "--logger.hideWelcomeMessage=true" in command


@pytest.mark.browser
def test_a_search_is_a_link_the_back_button_works_and_nothing_is_fetched_from_elsewhere(
    server: str,
) -> None:
    if CHROMIUM is None:
        pytest.skip("NOT CHECKED: chromium is not installed, the page was not seen in a browser")
    from playwright.sync_api import expect, sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        dialogs: list[str] = []
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(server)
        box = page.get_by_placeholder("What does the photo show")
        box.fill("red disc")
        box.press("Enter")
        fold = page.get_by_text("nearest of the rest")
        expect(fold).to_be_visible()
        assert "q=red+disc" in page.url
        fold.click()
        cards = page.locator("[class*='st-key-card-possible'] img")
        expect(cards).to_have_count(24)
        page.get_by_role("button", name=f"Open {HOSTILE}").or_(
            page.get_by_role("button", name="Open IMG").first
        ).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert "photo=" in page.url
        expect(page.get_by_role("dialog").get_by_text("Camera", exact=True)).to_be_visible()
        page.go_back()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(cards).to_have_count(24)
        assert dialogs == []
        assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []
        browser.close()


def test_the_theme_lies_where_streamlit_looks_for_it() -> None:
    config = Path(streamlit_command("localhost", 1, browser=False)[4]).parent / ".streamlit"
    assert (config / "config.toml").is_file()
    assert os.access(config / "config.toml", os.R_OK)
