"""Pictures of every view of the app in both themes, for the documentation and to be looked at.

    cp -r ui/demo/photos/202* ~/Pictures/
    tips index ~/Pictures --model nano --tiles 2 -c holiday
    python bench/screenshots.py holiday --out docs/screenshots

The paths are seen in the pictures: those of docs/screenshots are of a user named Anna.
"""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from app import FLAGS, serve
from playwright.sync_api import Page, sync_playwright

QUALITY = 82
SHEEP = (0.22, 0.12, 0.71, 0.9)  # in the newest photo of the farm
Step = Callable[[Page], None]


def settle(page: Page) -> None:
    """Wait until nothing more is coming."""
    for _ in range(2):
        page.wait_for_selector("[data-test-script-state='notRunning']", timeout=60_000)
        page.locator("[data-testid='stSkeleton']").first.wait_for(state="detached")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(2500)


def suggested(page: Page) -> None:
    """Wait for the searches that the page proposes."""
    page.locator("[class*='st-key-example-']").first.wait_for(timeout=120_000)
    page.wait_for_timeout(5000)
    settle(page)


def found(page: Page) -> None:
    """The photos that were found; the weaker ones when there is no clear match."""
    if not page.locator(".card .open").count():
        unfolded(page)


def opened(page: Page) -> None:
    """Open the first photo."""
    found(page)
    page.locator(".card .open").first.click()
    page.locator(".stage img").first.wait_for()
    settle(page)


def layer(name: str) -> Step:
    """Open the first photo and show a layer of it."""

    def show(page: Page) -> None:
        opened(page)
        page.get_by_text(name, exact=True).last.click()
        settle(page)

    return show


def marked(page: Page) -> None:
    """Draw a box on the first photo."""
    opened(page)
    page.get_by_test_id("stButtonGroup").get_by_text("Box", exact=True).last.click()
    page.get_by_text("Drag a box around the thing").wait_for()
    settle(page)
    area = page.locator(".stage img").first.bounding_box()
    assert area
    x, y, width, height = area["x"], area["y"], area["width"], area["height"]
    left, top, right, bottom = SHEEP
    page.mouse.move(x + left * width, y + top * height)
    page.mouse.down()
    page.mouse.move(x + right * width, y + bottom * height, steps=5)
    page.mouse.up()
    settle(page)


def laid_out(page: Page) -> None:
    """Place two words on the canvas."""
    page.get_by_role("button", name="Layout").click()
    word = page.get_by_role("dialog").get_by_role("textbox")
    for text in ("river", "castle"):
        word.fill(text)
        word.press("Enter")
        page.wait_for_timeout(600)
    settle(page)


def picture(page: Page) -> None:
    """The dialog that takes a picture."""
    page.get_by_role("button", name="Picture", exact=True).click()
    settle(page)


def unfolded(page: Page) -> None:
    """The weaker photos below nothing."""
    page.get_by_text("weaker", exact=False).last.click()
    settle(page)


def exported(page: Page) -> None:
    """Choose two photos and open the export."""
    found(page)
    for number in (0, 1):
        card = page.locator(".card").nth(number)
        card.hover()
        card.get_by_role("checkbox").check()
        settle(page)
    page.get_by_role("button", name="Export").click()
    settle(page)


def new_collection(page: Page) -> None:
    """The form for a new collection."""
    page.get_by_text("New collection").click()
    settle(page)


# Names from `ui/demo/photos.json`. The bridge, the layout and the telephone's cat were chosen
# before any of them was searched for; the horse and the giraffe because they find something
# clearly, which masks, heat, export and an open photo need. No photo shows a birthday cake.
VIEWS: dict[str, tuple[str, int, Step | None]] = {
    "start": ("/", 1280, suggested),
    "search": ("/?q=horse", 1280, found),
    "places-as-masks": ("/?q=horse&show=Places&overlay=Mask", 1280, found),
    "heat": ("/?q=giraffe&overlay=Heat", 1280, found),
    "relation": ("/?q=bridge+above+river", 1280, found),
    "nothing-found": ("/?q=birthday+cake", 1280, unfolded),
    "photo": ("/?q=giraffe", 1280, opened),
    "photo-heat": ("/?q=giraffe", 1280, layer("Heat")),
    "photo-features": ("/?q=giraffe", 1280, layer("Features")),
    "photo-marked": ("/?filter=in:Farm", 1280, marked),
    "layout": ("/", 1280, laid_out),
    "picture": ("/", 1280, picture),
    "map": ("/?mode=Map", 1280, None),
    "export": ("/?q=horse", 1280, exported),
    "collections": ("/collections", 1280, None),
    "new-collection": ("/collections", 1280, new_collection),
    "telephone-search": ("/?q=cat", 390, found),
    "telephone-photo": ("/?q=cat", 390, opened),
    "telephone-start": ("/", 390, suggested),
}


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(VIEWS), default=list(VIEWS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    address, process, _ = serve(arguments.collection)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        for name in arguments.only:
            path, width, act = VIEWS[name]
            height = 860 if width > 500 else 844
            for theme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if theme == "dark" else "light",
                )
                page.goto(address + path)
                settle(page)
                if act is not None:
                    act(page)
                file = arguments.out / f"{name}-{theme}.jpg"
                page.screenshot(path=file, type="jpeg", quality=QUALITY)
                page.close()
        browser.close()
    process.send_signal(signal.SIGINT)
    process.wait()


if __name__ == "__main__":
    main()
