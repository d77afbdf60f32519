"""What sidecars say of a photo."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.photos.facts import Facts, filled, with_sidecar
from indexer.photos.sidecar import UNREADABLE, sidecar_facts, takeout_facts

NOON = datetime(2021, 5, 6, 12)
TAKEOUT: dict[str, Any] = {
    "title": "IMG_1.jpg",
    "description": "Grandma at the lake",
    "photoTakenTime": {"timestamp": "1620302400", "formatted": "06.05.2021, 12:00:00 UTC"},
    "geoData": {"latitude": 48.1, "longitude": -11.5, "altitude": 0.0},
    "geoDataExif": {"latitude": 1.0, "longitude": 2.0},
    "people": [{"name": "Anna"}, {"name": "Ben"}, {"name": "Anna"}],
}


def takeout(**other: Any) -> Facts:
    return takeout_facts(json.dumps(TAKEOUT | other).encode())


def test_google_takeout() -> None:
    assert takeout() == Facts(
        taken=NOON,
        dated="takeout",
        latitude=48.1,
        longitude=-11.5,
        description="Grandma at the lake",
        keywords=("Anna", "Ben"),
    )


def test_a_place_that_google_does_not_know_is_that_of_the_camera_or_none() -> None:
    nowhere = {"latitude": 0.0, "longitude": 0.0}
    assert takeout(geoData=nowhere).latitude == 1.0
    assert takeout(geoData=nowhere, geoDataExif=nowhere).latitude is None
    for wrong in ({"latitude": 91, "longitude": 0}, {"latitude": "48"}, {}, [], None):
        assert takeout(geoData=wrong, geoDataExif=None).longitude is None


@pytest.mark.parametrize("wrong", ["0", "", "x", None, "9" * 30, "1e9", {}])
def test_a_time_that_is_none(wrong: object) -> None:
    facts = takeout(photoTakenTime={"timestamp": wrong})
    assert (facts.taken, facts.dated) == (None, None)
    assert facts.keywords == ("Anna", "Ben")


@pytest.mark.parametrize(
    "other", [[], 1, "text", None, {}, {"images": [], "annotations": []}, {"photoTakenTime": 5}]
)
def test_other_json_says_nothing(other: object) -> None:
    assert takeout_facts(json.dumps(other).encode()) == Facts()


def test_times_before_1970() -> None:
    facts = takeout(photoTakenTime={"timestamp": "-86400"})
    assert facts.taken == datetime(1969, 12, 31)


def xmp(body: str) -> bytes:
    return (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        "xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:exif='http://ns.adobe.com/exif/1.0/' "
        f"xmlns:dc='http://purl.org/dc/elements/1.1/' {body}</rdf:RDF></x:xmpmeta>"
    ).encode()


def test_xmp_comes_before_takeout_and_both_are_kept_apart_from_what_is_inside(
    tmp_path: Path,
) -> None:
    packet, answer = tmp_path / "a.XMP", tmp_path / "a.jpg.json"
    packet.write_bytes(xmp("xmp:Rating='4' exif:DateTimeOriginal='2020-01-02T03:04:05'/>"))
    answer.write_text(json.dumps(TAKEOUT))
    facts, note = sidecar_facts([str(packet), str(answer)])
    assert (facts.rating, facts.taken, facts.dated) == (4, datetime(2020, 1, 2, 3, 4, 5), "sidecar")
    assert (facts.latitude, facts.description, note) == (48.1, "Grandma at the lake", "")


def test_what_cannot_be_read_is_noted(tmp_path: Path) -> None:
    broken = {
        "a.xmp": b"<x",
        "b.xmp": b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + xmp("xmp:Label='&a;'/>"),
        "c.json": b"{",
        "d.json": b"[" * 100_000,
        "e.xmp": b" " * 4_000_001,
        "f.json": b"\xff\xfe",
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        assert sidecar_facts([str(tmp_path / name)]) == (Facts(), UNREADABLE)
    (tmp_path / "folder.xmp").mkdir()
    assert sidecar_facts([str(tmp_path / "folder.xmp")]) == (Facts(), UNREADABLE)
    assert sidecar_facts([str(tmp_path / "gone.xmp")]) == (Facts(), "")


def test_dates_by_trust_and_words_by_who_wrote_last() -> None:
    own = Facts(taken=NOON, dated="changed", title="DSC_1", rating=2, keywords=("sea",))
    beside = Facts(
        taken=datetime(2020, 1, 1), dated="takeout", title="Lake", keywords=("Sea", "Anna")
    )
    both = with_sidecar(own, beside)
    assert (both.taken, both.dated) == (datetime(2020, 1, 1), "takeout")
    assert (both.title, both.rating, both.keywords) == ("Lake", 2, ("sea", "Anna"))
    camera = Facts(taken=NOON, dated="exif")
    assert with_sidecar(camera, beside).taken == NOON
    assert filled(Facts(taken=NOON, dated="name"), own, beside).dated == "takeout"
    assert filled(own, Facts(taken=datetime(2000, 1, 1), dated="name")).taken == NOON
