"""How quick the app is on a large collection, seen from a browser, and whether its memory grows.

    python bench/app.py COLLECTION --searches 300 --out docs/app.json

A real Chromium opens `tips ui` on the collection (`bench/scale.py` makes large ones). Measured are:
the server until it answers; its first view, from the request until the first thumbnail is there;
a search, from Enter until the first thumbnail of its hits is there, in words that were not asked
before; the part of it that the search itself takes (`Library.answer`, the same words, in this
process); another overlay, from the click until it is drawn; a photo, from the click until it is
there; and the memory of the server as searches go on. Times are milliseconds, median and 95 % line.
Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from scale import machine

from search.word_lists import word_list
from ui.app.library import Library
from ui.app.page_results import answer
from ui.app.state import View

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REPEATED = 10  # switches of the overlay, and photos opened
LOADED = """(old) => {
    for (const host of document.querySelectorAll("[class*='st-key-gallery'] *")) {
        const photo = host.shadowRoot?.querySelector(".card .photo");
        if (!photo?.complete || !photo.naturalWidth) continue;
        const name = photo.src + (host.shadowRoot.querySelector(".score")?.textContent ?? "");
        if (name !== old) return name;
    }
    return null;
}"""


def serve(collection: Path) -> tuple[str, subprocess.Popen[bytes], float]:
    """The address of the app, its process, and the seconds until it answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from ui.cli import main; main()", "ui", "--no-browser"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--port", str(port), "-c", str(collection)])
    address = f"http://localhost:{port}"
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health"):
                return address, process, time.perf_counter() - start
        except urllib.error.URLError:
            time.sleep(0.02)


def server_memory(process: subprocess.Popen[bytes]) -> float:
    """Resident megabytes of the server: the child of `tips ui`."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pages = int(Path(f"/proc/{children[0]}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def first_picture(page: Page, old: str = "") -> str:
    """Wait for a first thumbnail that is not `old`; what names it."""
    return str(page.wait_for_function(LOADED, arg=old, polling=10, timeout=120_000).json_value())


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that something takes, and what it gives."""
    start = time.perf_counter()
    given = act()
    return (time.perf_counter() - start) * 1000, given


def quantiles(times: Iterable[float]) -> dict[str, float]:
    """Median and 95 % line."""
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
    }


def search(page: Page, words: str, old: str) -> tuple[float, str]:
    """Milliseconds from Enter to the first thumbnail of other hits, and what names it."""
    box = page.get_by_placeholder("What does the photo show")
    box.fill(words)

    def ask() -> str:
        box.press("Enter")
        page.get_by_text("weaker", exact=False).first.wait_for()
        return first_picture(page, old)

    return timed(ask)


def switch(page: Page) -> float:
    """Milliseconds from the click on the heat overlay until it is drawn on the first card."""
    page.get_by_text("None", exact=True).click()
    page.locator(".frame img.overlay").first.wait_for(state="detached")

    def change() -> None:
        page.get_by_text("Heat", exact=True).click()
        page.locator(".frame img.overlay").first.wait_for()

    return timed(change)[0]


def open_photo(page: Page, number: int) -> float:
    """Milliseconds from the click on a card until the photo's page shows a picture."""
    cards = page.locator(".card .open")
    card = cards.nth(number % cards.count())

    def opened() -> None:
        card.click()
        page.locator(".stage img").first.wait_for()

    took = timed(opened)[0]
    page.get_by_role("button", name="Back", exact=True).click()
    cards.first.wait_for()
    return took


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--timed", type=int, default=40, help="searches that are timed")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    library = Library(arguments.collection)
    found: dict[str, Any] = {"machine": machine(), "photos": library.counts()["ok"]}
    # Words that find something, so that there are thumbnails to wait for.
    words = [w for w in word_list("concepts") if answer(library, View(q=w)).total][
        : arguments.timed
    ]
    own = [timed(lambda w=w: answer(library, View(q=w)))[0] for w in words]
    found["the search alone"] = quantiles(own)
    address, process, seconds = serve(arguments.collection)
    found["server up, seconds"] = round(seconds, 2)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        first, shown = timed(lambda: (page.goto(address), first_picture(page))[1])
        found["first view"] = round(first, 1)
        page.wait_for_timeout(8000)  # the model is being loaded; people look around first
        again = browser.new_page(viewport={"width": 1280, "height": 900})
        found["another window"] = round(
            timed(lambda: (again.goto(address), first_picture(again)))[0], 1
        )
        again.close()
        page.wait_for_timeout(3000)
        times = []
        for each in words:
            took, shown = search(page, each, shown)
            times.append(took)
            page.wait_for_selector("[data-test-script-state='notRunning']")
        found["search to first thumbnail"] = quantiles(times[1:])
        found["another overlay"] = quantiles(switch(page) for _ in range(REPEATED))
        found["a photo"] = quantiles(open_photo(page, number) for number in range(REPEATED))
        found["first search"] = round(times[0], 1)
        found["memory, megabytes"] = {str(len(times)): round(server_memory(process), 1)}
        count = len(times)
        every = word_list("concepts")
        box = page.get_by_placeholder("What does the photo show")
        while count < arguments.searches:
            box.fill(f"{every[count % len(every)]} {count}")
            box.press("Enter")
            page.wait_for_timeout(150)
            page.wait_for_selector("[data-test-script-state='notRunning']", timeout=120_000)
            count += 1
            if count % 50 == 0:
                found["memory, megabytes"][str(count)] = round(server_memory(process), 1)
        browser.close()
    process.terminate()
    process.wait()
    print(json.dumps(found, indent=2))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
