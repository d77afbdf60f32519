"""A report says what is the matter, and nothing of whose photos they are."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import polars as pl
import pytest

from indexer import run_log
from indexer.errors import RootError
from tests.ui.conftest import paint, tips
from ui.pseudonyms import NAME, Pseudonyms, private_texts, report_key

ODD = (
    "Zdenka's wedding (2019)",
    "Überraschung ☃ für Öznur",
    "新宿の夜",
    "line\nbreak",
    "a.b$c^d",
    "quux",
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of photos whose folders have odd names, and a log with all of them in it."""
    base = tmp_path_factory.mktemp("report") / "Klothilde"
    folder = base / "pictures of mine"
    for seed, name in enumerate(ODD):
        paint(folder / name / f"{name} portrait.jpg", seed)
    (folder / ODD[0] / "Zdenka broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:
        file.write((folder / "quux/quux portrait.jpg").read_bytes() + b"\0")
    collection = base / "collection of Klothilde"
    result = tips("index", folder, "--model", "nano", "-c", collection)
    assert result.exit_code == 0, result.output
    tips("search", "Zdenka at the altar", "-c", collection)
    for name in ODD:
        with pytest.raises(RootError), run_log.recorded(collection, "index"):
            raise RootError(f"{folder}/{name} is a file, and '{name}' of {name}: 7 of 9.")
    return collection


def components(collection: Path) -> set[str]:
    """Every part of every path, their words, and what names the machine and its user."""
    folder = collection.parent / "pictures of mine"
    paths = [*folder.rglob("*"), collection, Path.home()]
    parts = {part for path in paths for part in (*path.parts, path.stem)} - {"/", "home", "root"}
    words = {word for part in parts for word in re.findall(r"[^\W_]+", part) if len(word) > 3}
    common = {"index", "report", "photos", "pytest", "collection", "mine", "pictures", "root"}
    named = parts | words | {socket.gethostname()}
    return {text for text in named if text not in common and len(text) > 1}


def test_no_part_of_a_path_is_in_a_report(odd: Path) -> None:
    text = tips("status", "--report", "-c", odd).stdout
    told = [part for part in components(odd) if part in text and part not in ("tmp", "2019")]
    assert told == []
    assert "altar" not in text
    assert "/" not in re.sub(r"root1/…/|, [\d.]+/s|[\d.]+/s", "", text)


def test_a_report_says_what_is_the_matter(odd: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    assert tips("status", "--report", file, "-c", odd).exit_code == 0
    text = file.read_text("utf-8")
    assert "model: nano, 2 heads, width 192" in text
    assert "7 ok, 1 failed, 0 removed" in text
    assert "root1: there, " in text
    assert re.search(r"index done after [\d.]+ s new=7 failed=1 embedded=7 scan: ", text)
    assert text.count("index failed after") == len(ODD)
    assert "RootError: <path>" in text
    assert f"7 {NAME} 9." in text  # there is a folder with "of" in its name
    assert re.search(r"^  root1/…/[0-9a-f]{8}\.jpg: .*\(13 B\)$", text, re.MULTILINE)
    # The names are the same in the next report, of this collection only.
    (name,) = re.findall(r"root1/…/\w+\.jpg", text)[-1:]
    assert name in tips("status", "--report", "-c", odd).stdout
    assert (odd / "logs/report.key").stat().st_mode & 0o077 == 0


def test_words_of_names_are_taken_out_of_sentences(tmp_path: Path) -> None:
    paths = pl.Series(["/r/My Photos/Rome-2021.jpg"])
    names = Pseudonyms(b"key", ["/r"], paths, private_texts(tmp_path))
    sentence = names.sentence("My 'Rome' is 2021 romes at /x/y, caf\N{LATIN SMALL LETTER E}\u0301")
    assert sentence == f"{NAME} '{NAME}' is {NAME} romes at <path> {NAME}"
    assert names.path("/r/My Photos/Rome-2021.jpg").startswith("root1/…/")
    assert names.path("/elsewhere/x.exe").startswith("root?/…/")
    assert names.path("/r/a.jpg") != Pseudonyms(b"other", ["/r"], paths, []).path("/r/a.jpg")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    key = report_key(tmp_path / "logs")
    assert len(key) == 16
    assert report_key(tmp_path / "logs") == key
    assert report_key(tmp_path / "other") != key
