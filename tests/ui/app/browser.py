"""The app as people start it, and a real browser to look at it with."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECONDS = 180  # at most: a loaded machine needs a minute to import everything
PATIENCE = 45  # seconds for one thing on the page
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SKIP = "NOT CHECKED: chromium is not installed, the page was not seen in a browser"


def start(collection: Path, *options: str) -> tuple[str, subprocess.Popen[bytes]]:
    """The address of an app that answers, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from ui.cli import main; main()", "ui", "--no-browser"]
    process = subprocess.Popen([*command, *options, "--port", str(port), "-c", str(collection)])
    address = f"http://localhost:{port}"
    wait_until_healthy(address, process)
    return address, process


@contextmanager
def window(
    address: str, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Page]:
    """A browser window that has opened the address. What the page asks for elsewhere, and what goes
    wrong in its scripts, fails the test.
    """
    if CHROMIUM is None:
        pytest.skip(SKIP)
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        wrong: list[str] = []
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        yield page
        server = "/".join(address.split("/")[:3])
        assert wrong == []
        assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []
        browser.close()


def settled(page: Page) -> Page:
    """The page once the server has nothing more to send."""
    page.wait_for_selector("[data-test-script-state='notRunning']")
    return page


def wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; one that does not is ended and fails the test."""
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
