"""A small page with one component on it, served to a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

import ui
from tests.ui.app.browser import CHROMIUM, FLAGS, SKIP, wait_until_healthy

SECONDS = 60  # at most: a loaded machine is slow
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


@contextmanager
def served(script: str, folder: Path) -> Iterator[str]:
    """The address of a page drawn by `script`, in the app's theme."""
    if CHROMIUM is None:
        pytest.skip(SKIP)
    package = Path(ui.__file__).parent
    shutil.copytree(package / "app" / ".streamlit", folder / ".streamlit", dirs_exist_ok=True)
    (folder / "one_component.py").write_text(script, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "one_component.py"]
    options = ["--server.headless=true", "--logger.hideWelcomeMessage=true"]
    process = subprocess.Popen(
        [*command, *options, f"--server.port={port}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package.parent)},
    )
    try:
        wait_until_healthy(f"http://localhost:{port}", process)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def opened(browser: Browser, address: str, width: int = 1280, **context: Any) -> Page:
    """The page at `address`, in a window of its own, once its component is there."""
    page = browser.new_page(viewport={"width": width, "height": 800}, **context)
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    expect(page.locator(".stage")).to_be_visible()
    return page


def events(page: Page, count: int | str) -> list[Any]:
    """What came back from the component, once there are `count` events (a pattern: so many)."""
    shown = page.locator(".st-key-log")
    expect(shown).to_have_text(re.compile(rf"^{count} \["))
    log: list[Any] = json.loads(shown.inner_text().partition(" ")[2])
    return log


def at(area: Locator, x: float, y: float) -> tuple[float, float]:
    """Where in the window the fractions x, y of an element are."""
    box = area.bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def dragged(
    page: Page, area: Locator, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Drag from one place on an element to another, in fractions of it."""
    page.mouse.move(*at(area, *start))
    page.mouse.down()
    page.mouse.move(*at(area, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    page.mouse.move(*at(area, *end))
    page.mouse.up()
