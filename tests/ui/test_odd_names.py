"""What a collection lists, its filters find again: in every way in, and however it is spelled."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import httpx
import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from indexer.folders.paths import folders, shown, to_text
from search.browse.facets import facets, folder, spelled, subfolders
from search.browse.index import PhotoIndex
from search.browse.selection import Choices, filter_text, read_choices
from search.filters import EXACT, quoted
from search.searcher import Searcher
from tests.ui.app.test_main import APP, grid
from tests.ui.conftest import paint, tips
from tests.ui.service.conftest import running
from ui.app.filter_controls import MOST_VALUES

NFC, NFD = "Caf\u00e9 1", "Cafe\u0301 2"
NAMES = (
    NFC,
    NFD,
    "R\u00e9sum\u00e9",  # a folder of each form, of the same name
    "Re\u0301sume\u0301",
    "Holiday",
    "holiday",
    "HOLIDAY 2",
    "Trip ",
    " lead",
    "two  blanks",
    "narrow\u202f3.04\u202fPM",  # as Macs write times of the day
    "hard\u00a0blank",
    "ideographic\u3000blank",
    'quo"te',
    '"quoted"',
    "it's",
    "colon:colon",
    "in:side",
    "comma, comma",
    "back\\slash",
    "\\xe9",
    "100%",
    "%C3%A9",
    "a|b",
    "| bar",
    "-minus",
    "=equals",
    "~home",
    "#hash",
    "*?[a-z]",
    "new\nline",
    "tab\there",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u200fright\u200e",
    "zero\u200bwidth",
    "over\u202eride",
    "heart \u2764\ufe0f",
    "heart 2 \u2764",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "Istanbul",
    "\u0130stanbul 2",
    "I\u015f\u0131k",
    "stra\u00dfe",
    "\ufb01ne",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8",  # Korean in letters, as Macs store it
    "\u0e19\u0e49\u0e33",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\uf7e9 own",  # a character that escapes bytes in paths
)
BYTES = (b"caf\xe9", b"caf\xe9 \xff\xfe", b"\xc3\x28", "\u00e9".encode("utf-16"))
RAW = tuple(name for name in (*(each.encode() for each in NAMES), *BYTES) if b"\0" not in name)


def place(photos: Path, name: bytes) -> bytes:
    """The folder of a name, with another in it."""
    return os.path.join(os.fsencode(photos), name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos under each name: in the folder, and in one of the same name below it. The camera,
    the lens and a keyword are called the same.
    """
    top = tmp_path_factory.mktemp("odd") / "photos"
    for number, name in enumerate(RAW):
        for copy, at in enumerate((place(top, name), os.path.join(place(top, name), name))):
            os.makedirs(at)
            plain = top.parent / "plain.jpg"
            paint(plain, 2 * number + copy)
            exif = Image.Exif()
            exif[0x0110] = name.replace(b"\0", b"")
            exif.get_ifd(0x8769)[0xA434] = b"Lens " + name
            word = escape(name.decode(errors="replace"))
            xmp = (
                '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
                'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
                'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>'
                f"<rdf:li>{word}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"
                "</x:xmpmeta>"
            )
            with Image.open(plain) as picture:
                picture.save(plain, exif=exif, xmp=xmp.encode())
            os.rename(plain, os.path.join(at, name + b".jpg"))
    return top


@pytest.fixture(scope="module")
def odd(photos: Path) -> Path:
    """The collection of these photos."""
    made = photos.parent / "collection"
    result = tips("index", photos, "--model", "nano", "-c", made)
    assert result.exit_code == 0, result.output
    return made


@pytest.fixture(scope="module")
def searcher(odd: Path) -> Iterator[Searcher]:
    with Searcher.open(odd) as opened:
        yield opened


@pytest.fixture(scope="module")
def index(searcher: Searcher) -> PhotoIndex:
    return PhotoIndex.load(searcher._catalog)


@pytest.fixture(scope="module")
def http(odd: Path) -> Iterator[httpx.Client]:
    with running(odd) as (client, _):
        yield client


@pytest.fixture(scope="module")
def listed(index: PhotoIndex, photos: Path) -> dict[str, int]:
    """Every filter that a listing suggests, and the number of photos that it states."""
    found: dict[str, int] = {}
    pending = [folder(index, to_text(os.fsencode(photos)))]
    while pending:
        each = pending.pop()
        found[filter_text(Choices(folders=(each.path,)))] = each.count
        pending += subfolders(index, each.path)
    values = facets(index, Choices(), limit=1000)
    for value in values["cameras"]:
        found[filter_text(Choices(cameras=(str(value.value),)))] = value.count
    for value in values["lenses"]:
        found[filter_text(Choices(lenses=(str(value.value),)))] = value.count
    keywords = Counter(word for row in rows_of(index) for word in row["keywords"] or ())
    found |= {f"keyword:{EXACT}{quoted(word)}": count for word, count in keywords.items()}
    return found


def rows_of(index: PhotoIndex) -> list[dict[str, Any]]:
    """The photos' rows in the catalog."""
    catalog = index._catalog
    return catalog.rows(list(catalog.ids()), ["id", "files", "keywords"]).to_pylist()


def test_the_photos_are_all_there(index: PhotoIndex, listed: dict[str, int]) -> None:
    assert len(index) == 2 * len(RAW)
    assert sum(term.startswith("in:") for term in listed) == 1 + 2 * len(RAW)
    assert sum(term.startswith("camera:") for term in listed) > 40
    assert sum(term.startswith("keyword:") for term in listed) > 40


def test_browsing_finds_what_is_listed(index: PhotoIndex, listed: dict[str, int]) -> None:
    assert {term: len(index.matching(term)) for term in listed} == listed


def test_choices_are_read_back_from_their_text(listed: dict[str, int]) -> None:
    chosen = [term for term in listed if not term.startswith("keyword:")]
    assert [filter_text(read_choices(term)) for term in chosen] == chosen
    assert all(read_choices(term).rest == "" for term in chosen)


def test_a_search_finds_what_is_listed(searcher: Searcher, listed: dict[str, int]) -> None:
    found = {term: searcher.images("disc", filter=term, limit=1).searched for term in listed}
    assert found == listed


def test_the_service_finds_what_it_lists(http: httpx.Client, listed: dict[str, int]) -> None:
    counted = {
        term: http.get("/v1/facets", params={"filter": term}).json()["photos"] for term in listed
    }
    assert counted == listed
    top = http.get("/v1/facets", params={"limit": 500}).json()["folders"][0]["value"]
    below = http.get("/v1/facets", params={"folder": top, "limit": 500}).json()["folders"]
    assert len(below) == len(RAW)
    for each in below:
        (inner,) = http.get("/v1/facets", params={"folder": each["value"]}).json()["folders"]
        assert (inner["count"], each["count"]) == (1, 2)
        body = {"q": "disc", "all": True, "filter": f"in:{quoted(each['value'])}"}
        assert len(http.post("/v1/search", json=body).json()["hits"]) == 2


def test_the_command_finds_what_is_listed(odd: Path, listed: dict[str, int]) -> None:
    ask = ("search", "disc", "--all", "-n", 1000, "-0", "-c", odd, "--filter")
    for term, count in list(listed.items())[::5]:
        assert tips(*ask, term).stdout_bytes.count(b"\0") == count, term


def test_the_page_finds_what_it_lists(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(odd))
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    for number in range(MOST_VALUES):
        page.button(key=f"folder-{number}").click().run()
        assert not page.exception
        shared = AppTest.from_file(str(APP), default_timeout=120)  # by its address
        shared.query_params["filter"] = page.text_input(key="filter").value
        assert len(grid(page)) == 2
        if number % 6 == 0:
            assert len(grid(shared.run())) == 2
        page.button(key="folder-up").click().run()
    st.cache_resource.clear()
    st.cache_data.clear()


def holding(index: PhotoIndex, path: str) -> set[str]:
    """The ids of the photos below a folder."""
    return {
        row["id"]
        for row in rows_of(index)
        if any(path in folders(file["path"]) for file in row["files"])
    }


@pytest.mark.parametrize("name", RAW)
def test_a_folder_is_found_as_typed_on_a_terminal_and_as_printed_there(
    index: PhotoIndex, photos: Path, name: bytes
) -> None:
    path = place(photos, name)
    meant = holding(index, to_text(path))
    assert len(meant) == 2
    assert set(index.ids(index.matching(f"in:{quoted(os.fsdecode(path))}"))) == meant
    assert set(index.ids(index.matching(f"in:{quoted(shown(to_text(path)))}"))) >= meant


def spellings(name: str) -> set[str]:
    """Other texts that a person takes for the name."""
    unseen = "".join(char for char in name if char not in "\u200b\u200e\u200f\u202e\ufe0f")
    same = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {unseen}
    cases = {case(text) for text in same for case in (str.upper, str.lower, str.casefold)}
    return same | cases | {f" {name} ", "  ".join(name.split())}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_however_it_is_spelled(
    index: PhotoIndex, searcher: Searcher, photos: Path, name: str
) -> None:
    path = to_text(place(photos, name.encode()))
    meant = holding(index, path)
    for text in spellings(name):
        for term in (f"in:{quoted(text)}", f"in:{quoted(f'{photos}/{text}')}"):
            if text in NAMES and text != name and str(photos) in term:
                continue  # the path of another folder
            assert set(index.ids(index.matching(term))) >= meant, term
        assert searcher.images("disc", filter=f"in:{quoted(text)}", limit=1).searched >= 2
    stored = {
        str(index.columns.texts["camera"].values[code]) for code in camera_codes(index, meant)
    }
    for camera in stored:
        for text in spellings(camera):
            ways = ("", EXACT) if text == camera or text not in NAMES else ("",)
            for term in (f"camera:{way}{quoted(text)}" for way in ways):
                assert set(index.ids(index.matching(term))) >= meant, term


def camera_codes(index: PhotoIndex, ids: set[str]) -> set[int]:
    """The codes of these photos' cameras."""
    rows = np.flatnonzero([each in ids for each in index.ids(np.arange(len(index.columns.ids)))])
    return set(index.columns.texts["camera"].codes[rows].tolist())


def test_of_two_folders_a_name_means_both_and_a_path_the_exact_one(
    index: PhotoIndex, photos: Path
) -> None:
    assert len(index.matching("in:holiday")) == len(index.matching("in:HOLIDAY")) == 4
    assert len(index.matching(f"in:{photos}/holiday")) == 2
    assert len(index.matching(f"in:{photos}/hOLIDAY")) == 4
    resume = unicodedata.normalize("NFC", "r\u00e9sum\u00e9")
    assert len(index.matching(f"in:{resume}")) == 4
    assert len(index.matching(f"in:{photos}/R{resume[1:]}")) == 2


def test_a_typed_choice_is_the_value_that_is_counted(index: PhotoIndex, photos: Path) -> None:
    typed = Choices(cameras=("cafe\u0301 1",), folders=(f"{photos}/CAF\u00c9 1",))
    assert spelled(index, typed) == Choices(cameras=(NFC,), folders=(f"{photos}/{NFC}",))
    (chosen,) = [each for each in facets(index, typed)["cameras"] if each.chosen]
    assert (chosen.value, chosen.count) == (NFC, 2)


def test_a_photo_is_named_in_either_form_and_as_json_lists_it(
    searcher: Searcher, index: PhotoIndex, photos: Path
) -> None:
    for row in rows_of(index):
        for file in row["files"]:
            assert searcher.photo_id(file["path"]) == row["id"]
    path = f"{photos}/{NFD}/{NFD}.jpg"
    assert searcher.photo_id(unicodedata.normalize("NFC", path)) == searcher.photo_id(path)
    raw = os.fsdecode(os.path.join(place(photos, BYTES[0]), BYTES[0] + b".jpg"))
    assert searcher.photo_id(raw) == searcher.photo_id(to_text(os.fsencode(raw)))


def status(collection: Path) -> dict[str, Any]:
    """What `tips status` says."""
    said: dict[str, Any] = json.loads(tips("status", "--json", "-c", collection).stdout)
    return said


def test_a_root_typed_in_the_other_form_is_that_root(tmp_path: Path) -> None:
    composed, decomposed = tmp_path / "\u00e9", tmp_path / "e\u0301"
    made, typed = tmp_path / "sche\u0301ma.tips", tmp_path / "sch\u00e9ma.tips"
    for seed in (1, 2):
        paint(decomposed / f"{seed}.jpg", seed)
    result = tips("index", decomposed, "--model", "nano", "-c", made)
    assert result.exit_code == 0, result.output
    again = tips("index", composed, decomposed, "--json", "-c", typed)
    assert json.loads(again.stdout)["unchanged"] == 2
    assert not typed.exists()
    assert status(typed)["roots"] == [str(decomposed)]
    # Two folders that the disk tells apart are two.
    paint(composed / "3.jpg", 3)
    assert tips("index", composed, "-c", made).exit_code == 0
    assert status(made)["roots"] == sorted(map(str, (composed, decomposed)))
    assert status(made)["photos"] == 3
    assert tips("prune", "--root", composed, "--yes", "-c", made).exit_code == 0
    assert status(made)["roots"] == [str(decomposed)]
    # One that has gone keeps its name, whatever it is typed like.
    shutil.rmtree(composed)
    os.rename(decomposed, tmp_path / "moved")
    moved = tips("relocate", composed, tmp_path / "moved", "-c", made)
    assert moved.exit_code == 0, moved.output
    assert status(made)["roots"] == [f"{tmp_path}/moved"]
    assert tips("verify", "-c", made).exit_code == 0


def test_a_photo_library_moves_between_the_forms_of_its_name(tmp_path: Path) -> None:
    composed, decomposed = tmp_path / "\u00e9", tmp_path / "e\u0301"
    paint(decomposed / "deep" / "1.jpg", 1)
    assert tips("index", decomposed, "--model", "nano", "-c", tmp_path / "c").exit_code == 0
    os.rename(decomposed, composed)
    moved = tips("relocate", decomposed, composed, "-c", tmp_path / "c")
    assert moved.exit_code == 0, moved.output
    assert status(tmp_path / "c")["roots"] == [str(composed)]


def test_folders_are_left_out_by_the_name_that_people_see(tmp_path: Path) -> None:
    for seed, name in enumerate(("kept", "e\u0301", "#recent", "!old", "\u00fc")):
        paint(tmp_path / "photos" / name / "1.jpg", seed)
    (tmp_path / "photos" / ".tipsignore").write_text("u\u0308/\n", encoding="utf-8")
    left_out = [f"--exclude-dir={name}" for name in ("\u00e9", "#recent", "!old")]
    made = tips("index", tmp_path / "photos", *left_out, "--model", "nano", "-c", tmp_path / "c")
    assert made.exit_code == 0, made.output
    assert status(tmp_path / "c")["photos"] == 1


def test_a_picture_typed_in_the_other_form_is_that_picture(odd: Path, photos: Path) -> None:
    path = f"{photos}/{NFD}/{NFD}.jpg"
    ask = ("search", "--all", "-n", 1, "-0", "-c", odd, "--image")
    asked = [tips(*ask, unicodedata.normalize(form, path)) for form in ("NFC", "NFD")]
    assert [each.exit_code for each in asked] == [0, 0], asked[0].output
    assert asked[0].stdout_bytes == asked[1].stdout_bytes == os.fsencode(path) + b"\0"
    missing = tips(*ask, f"{photos}/{NFC}/missing.jpg")
    assert missing.exit_code == 2
    assert "does not exist" in missing.output
