"""The app in a real browser: what people do with it, from the first search to the export."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.searcher import Searcher
from tests.ui.app.browser import CHROMIUM, SKIP, settled, start, window
from tests.ui.conftest import HOSTILE, paint, tips
from ui.app import page_results

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=SKIP),
]
DEMO = Path(page_results.__file__).parents[1] / "demo" / "photos"
OPENABLE = re.compile("^Open ")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of the demo's photos, one more with a hostile name, and a broken one."""
    folder = tmp_path_factory.mktemp("browser") / "photos"
    for year in ("2023", "2024"):
        shutil.copytree(DEMO / year, folder / year)
    paint(folder / "2024" / HOSTILE, 3)
    (folder / "2024" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


@pytest.fixture(scope="module")
def server(photos: Path) -> Iterator[str]:
    """The address of the app on these pictures."""
    collection = photos.parent / "collection"
    assert tips("index", photos, "--model", "nano", "-c", collection).exit_code == 0
    address, process = start(collection)
    try:
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def word(server: str, photos: Path) -> str:
    """A word that finds something here, whatever the bundled model knows."""
    with Searcher.open(photos.parent / "collection") as searcher:
        for name in ("castle", "windmill", "bird", "hammer", "fish", "tower", "cat", "horse"):
            if searcher.images(name).hits and searcher.regions(name).hits:
                return name
    pytest.fail("The bundled model finds none of the common things in the demo's photos.")


def test_a_search_is_a_link_and_the_back_button_works(server: str, word: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        cards = page.get_by_role("button", name=OPENABLE)
        expect(page.get_by_text("158 photos", exact=True)).to_be_visible()
        expect(cards).to_have_count(page_results.PAGE_SIZE)
        box = page.get_by_placeholder("What does the photo show")
        box.fill(word)
        box.press("Enter")
        expect(page.get_by_text(re.compile(r"^\d+ match"))).to_be_visible()
        assert f"q={word}" in page.url
        found = page.url
        expect(page.locator(".score").first).to_be_visible()
        count = settled(page).locator(".score").count()
        expect(cards).to_have_count(count)
        cards.first.click()
        expect(page.get_by_role("button", name="Back", exact=True)).to_be_visible()
        assert "photo=" in page.url
        expect(settled(page).get_by_text("Camera", exact=True)).to_be_visible()
        page.go_back()
        expect(page.get_by_role("button", name="Back", exact=True)).to_have_count(0)
        expect(cards).to_have_count(count)
        page.goto(found)
        expect(cards).to_have_count(count)
        expect(box).to_have_value(word)


def test_the_overlay_is_switched_on_the_cards(server: str, word: str) -> None:
    from playwright.sync_api import expect

    with window(f"{server}/?q={word}") as page:
        drawn = page.locator(".frame .overlay")
        expect(page.locator(".frame svg.overlay").first).to_be_visible()
        page.get_by_text("Mask", exact=True).click()
        expect(page.locator(".frame img.overlay").first).to_be_visible()
        assert "overlay=Mask" in page.url
        page.get_by_text("Heat", exact=True).click()
        source = re.compile("^data:image/webp")
        expect(page.locator(".frame img.overlay").first).to_have_attribute("src", source)
        page.get_by_text("None", exact=True).click()
        expect(drawn).to_have_count(0)


def test_the_possible_ones_are_folded_away(server: str) -> None:
    from playwright.sync_api import expect

    with window(f"{server}/?q=tax+return") as page:
        expect(page.get_by_text("No clear match")).to_be_visible()
        cards = page.get_by_role("button", name=OPENABLE)
        expect(cards).to_have_count(0)
        page.get_by_text(f"{page_results.POSSIBLE} weaker", exact=True).click()
        expect(cards).to_have_count(page_results.POSSIBLE)


def test_pages_and_the_keyboard(server: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        cards = page.get_by_role("button", name=OPENABLE)
        expect(cards).to_have_count(page_results.PAGE_SIZE)
        first = cards.first.get_attribute("aria-label")
        cards.first.focus()
        page.keyboard.press("ArrowRight")
        second = cards.nth(1).get_attribute("aria-label")
        assert page.evaluate("document.activeElement.shadowRoot.activeElement.ariaLabel") == second
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_text("Page 2 of 4")).to_be_visible()
        expect(cards.first).not_to_have_attribute("aria-label", first or "")
        assert "page=2" in page.url
        cards.first.click()
        expect(page.get_by_text("49 of 158")).to_be_visible()
        expect(page.locator(".stage img").first).to_be_visible()
        settled(page).keyboard.press("ArrowLeft")
        expect(page.get_by_text("48 of 158")).to_be_visible()
        settled(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Back", exact=True)).to_have_count(0)


def test_a_box_is_drawn_and_found_everywhere(server: str, word: str) -> None:
    from playwright.sync_api import expect

    with window(f"{server}/?q={word}") as page:
        page.get_by_role("button", name=OPENABLE).first.click()
        photo = page.locator(".stage img").first
        expect(photo).to_be_visible()
        settled(page)  # the cards' own "Box" is still there before
        page.get_by_test_id("stButtonGroup").get_by_text("Box", exact=True).last.click()
        expect(page.get_by_text("Drag a box around the thing")).to_be_visible()
        settled(page)
        area = photo.bounding_box()
        assert area
        x, y, width, height = area["x"], area["y"], area["width"], area["height"]
        page.mouse.move(x + 0.1 * width, y + 0.1 * height)
        page.mouse.down()
        page.mouse.move(x + 0.6 * width, y + 0.7 * height, steps=4)
        page.mouse.up()
        page.get_by_role("button", name="Find everywhere").click()
        expect(page.get_by_text("Things like those at 1 place")).to_be_visible()
        place = re.search(r"find=[0-9a-f]{32}%40([\d.%C]+)", page.url)
        assert place
        numbers = [float(part) for part in place[1].split("%2C")]
        assert numbers == pytest.approx([0.1, 0.1, 0.6, 0.7], abs=0.02)
        expect(page.get_by_text("157 photos", exact=False).first).to_be_visible()


def test_words_are_laid_out_and_searched_for(server: str, word: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        page.get_by_role("button", name="Layout").click()
        box = page.get_by_role("dialog").get_by_role("textbox")
        box.fill(word)
        box.press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Find photos").click()
        expect(page.get_by_text("Laid out:")).to_be_visible()
        assert f"layout={word}" in page.url
        expect(page.get_by_role("button", name=OPENABLE).first).to_be_visible()


def test_a_picture_of_ones_own_is_searched_by(server: str, photos: Path) -> None:
    from playwright.sync_api import expect

    picture = next(photos.rglob("DSC02062.jpg"))
    with window(server) as page:
        page.get_by_role("button", name="Picture", exact=True).click()
        page.locator("input[type=file]").set_input_files(picture)
        expect(page.get_by_text("Photos like your picture")).to_be_visible()
        first = page.get_by_role("button", name=OPENABLE).first
        expect(first).to_have_attribute("aria-label", "Open DSC02062.jpg")
        assert "picture=" in page.url


def test_a_picture_is_pasted(server: str, photos: Path) -> None:
    from playwright.sync_api import expect

    content = base64.b64encode(next(photos.rglob("space.webp")).read_bytes()).decode()
    with window(server) as page:
        page.get_by_role("button", name="Picture", exact=True).click()
        expect(page.get_by_text("Paste a picture")).to_be_visible()
        page.evaluate(
            """(content) => {
                const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([bytes], "pasted.webp", { type: "image/webp" }));
                document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
            }""",
            content,
        )
        expect(page.get_by_text("Photos like your picture")).to_be_visible()
        first = page.get_by_role("button", name=OPENABLE).first
        expect(first).to_have_attribute("aria-label", "Open space.webp")


def test_more_and_less_like_this(server: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        card = page.locator(".card").first
        card.hover()
        card.get_by_role("button", name="More like").click()
        expect(page.get_by_text("the nearest first")).to_be_visible()
        assert "like=" in page.url
        settled(page).wait_for_timeout(300)
        card = page.locator(".card").nth(1)
        card.hover()
        card.get_by_role("button", name="Fewer like").click()
        expect(page.get_by_text("Unlike", exact=True)).to_be_visible()
        assert "unlike=" in page.url


def test_a_facet_narrows_and_the_filter_says_so(server: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        page.get_by_role("button", name=re.compile("^Contoso D-40")).click()
        expect(page.get_by_label("Filter")).to_have_value('camera:="Contoso D-40"')
        expect(page.get_by_text("75 photos", exact=True)).to_be_visible()
        page.get_by_role("button", name="Clear the filter").click()
        expect(page.get_by_text("158 photos", exact=True)).to_be_visible()


def test_chosen_photos_are_taken_out_as_a_table(server: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        for number in (0, 2):
            card = page.locator(".card").nth(number)
            card.hover()
            card.get_by_role("checkbox").check()
        button = page.get_by_role("button", name="Export 2 selected")
        button.click()
        expect(page.get_by_text("2 photos selected")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Table (CSV)").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
        assert len(rows) == 2
        assert all(Path(row["path"]).is_file() for row in rows)
        assert download.value.suggested_filename == "photos.csv"


def test_a_collection_is_made_in_the_browser_and_searched(server: str, photos: Path) -> None:
    from playwright.sync_api import expect

    with window(f"{server}/collections") as page:
        page.get_by_text("New collection").click()
        folder = page.get_by_label("Folder of photos")
        folder.fill(str(photos / "2023"))
        folder.press("Enter")
        name = page.get_by_label("Name", exact=True)
        name.fill("Year 2023")
        name.press("Enter")
        page.get_by_role("combobox", name=re.compile("Model")).click()
        page.get_by_role("option", name="nano (bundled)").click()
        settled(page)
        page.get_by_role("button", name="Create and index").click()
        made = page.get_by_text(re.compile("74 photos .* nano"))
        expect(made).to_be_visible(timeout=120_000)
        page.locator("[class*='st-key-collection-year-2023']").get_by_role(
            "button", name="Open"
        ).click()
        expect(page.get_by_text("74 photos", exact=True)).to_be_visible()
        assert "in=year-2023" in page.url


def test_an_open_window_sees_what_is_indexed_meanwhile(tmp_path: Path) -> None:
    from playwright.sync_api import expect

    photos, collection = tmp_path / "photos", tmp_path / "collection"
    for seed in range(3):
        paint(photos / "here" / f"{seed}.jpg", seed)
    assert tips("index", photos, "--model", "nano", "-c", collection).exit_code == 0
    address, process = start(collection)
    try:
        with window(address) as page:
            expect(page.get_by_text("3 photos", exact=True)).to_be_visible()
            for seed in range(3, 8):
                paint(photos / "more" / f"{seed}.jpg", seed)
            (photos / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
            assert tips("index", "-c", collection).exit_code == 0
            page.get_by_text("Oldest", exact=True).click()
            expect(page.get_by_text("8 photos", exact=True)).to_be_visible()
            expect(page.get_by_text("1 could not be read")).to_be_visible()
            shutil.rmtree(photos)  # as a disk that is taken away
            page.get_by_role("button", name=OPENABLE).first.click()
            expect(page.get_by_text("Showing its thumbnail")).to_be_visible()
            expect(page.locator(".stage img").first).to_be_visible()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_the_timeline_and_the_map_narrow_what_is_shown(server: str) -> None:
    from playwright.sync_api import expect

    with window(server) as page:
        page.get_by_role("button", name=re.compile("May 2023")).first.click()
        expect(page.get_by_label("Filter")).to_have_value("date:2023-05")
        page.get_by_text("Map", exact=True).click()
        expect(page.locator(".leaflet-container")).to_be_visible()
        assert "mode=Map" in page.url


def test_hostile_names_are_text(server: str) -> None:
    from playwright.sync_api import expect

    with window(f"{server}/?filter=in:2024&dates=Oldest") as page:
        page.get_by_role("button", name="Next").click()
        card = page.get_by_role("button", name=f"Open {HOSTILE}")
        expect(card).to_be_visible()
        card.click()
        expect(page.get_by_text(HOSTILE, exact=True).first).to_be_visible()


@pytest.mark.parametrize("path", ["/?q={word}", "/", "/?q=tax+return", "/collections"])
def test_it_fits_a_telephone(server: str, word: str, path: str) -> None:
    with window(f"{server}{path.format(word=word)}", width=390, height=844) as page:
        settled(page)
        page.wait_for_timeout(500)
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= 390


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_serious_is_found_by_axe(server: str, word: str, dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

    with window(f"{server}/?q={word}", dark=dark) as page:
        expect(page.get_by_role("button", name=OPENABLE).first).to_be_visible()
        settled(page)
        for view in ("results", "photo", "collections"):
            if view == "photo":
                page.get_by_role("button", name=OPENABLE).first.click()
                expect(page.get_by_role("button", name="Back", exact=True)).to_be_visible()
                settled(page)
            if view == "collections":
                page.goto(f"{server}/collections")
                expect(page.get_by_text("New collection")).to_be_visible()
                settled(page)
            found = Axe().run(page).response["violations"]
            bad = [
                (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
                for each in found
                if each["impact"] in ("serious", "critical")
            ]
            assert bad == [], view
