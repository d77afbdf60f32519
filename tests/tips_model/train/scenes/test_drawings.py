import io
import json
import tarfile
from pathlib import Path

import pytest

from tips_model.train.scenes.attribution import attribution_text
from tips_model.train.scenes.drawings import (
    DRAWING_SETS,
    HELD_OUT,
    DrawingsError,
    DrawingSet,
    fetch,
    integrity_of,
    read_attribution,
    read_svgs,
)

ICONS = {
    "width": 10,
    "height": 10,
    "icons": {"cat": {"body": "<path/>"}, "wide": {"body": "<g/>", "width": 20}},
    "aliases": {"kitten": {"parent": "cat"}},
}
INFO = {
    "name": "Tiny Emoji",
    "author": {"name": "A. Painter", "url": "https://example.org"},
    "license": {"spdx": "MIT", "url": "https://example.org/mit"},
}


@pytest.fixture
def tiny(tmp_path: Path) -> DrawingSet:
    """A package with two drawings in `tmp_path`, pinned by its true hash."""
    path = tmp_path / "iconify-json-tiny-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (("icons", ICONS), ("info", INFO)):
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return DrawingSet("tiny", "1.0.0", integrity_of(path), "tiny")


def test_integrity_is_npms_form_of_sha512(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc")
    assert integrity_of(tmp_path / "x") == (
        "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
    )


def test_a_cached_package_is_used_without_fetching(tiny: DrawingSet, tmp_path: Path):
    assert fetch(tiny, tmp_path) == tmp_path / tiny.file_name


def test_a_changed_package_is_refused(tiny: DrawingSet, tmp_path: Path):
    with (tmp_path / tiny.file_name).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(DrawingsError, match=r"not the pinned @iconify-json/tiny@1\.0\.0"):
        fetch(tiny, tmp_path)


def test_without_npm_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DrawingsError, match="needs npm"):
        fetch(DRAWING_SETS[0], tmp_path)


def test_svgs_are_whole_documents_and_aliases_lead_to_their_parents(
    tiny: DrawingSet, tmp_path: Path
):
    found = read_svgs(tmp_path / tiny.file_name, ["kitten", "wide", "dog"])
    assert list(found) == ["kitten", "wide"]
    assert found["kitten"].endswith('viewBox="0 0 10 10"><path/></svg>')
    assert 'viewBox="0 0 20 10"><g/>' in found["wide"]


def test_attribution_comes_from_the_package(tiny: DrawingSet, tmp_path: Path):
    told = read_attribution(tmp_path / tiny.file_name)
    assert (told.title, told.author, told.licence) == ("Tiny Emoji", "A. Painter", "MIT")
    text = attribution_text([tiny], "These pictures", tmp_path)
    assert (
        "| Tiny Emoji | A. Painter | https://example.org | [MIT](https://example.org/mit)" in text
    )


def test_one_family_is_held_out_and_styles_of_one_drawing_stay_together():
    families = {s.vendor: s.family for s in DRAWING_SETS}
    assert list(families.values()).count(HELD_OUT) == 1
    assert families["fluent-emoji"] == families["fluent-emoji-flat"]
