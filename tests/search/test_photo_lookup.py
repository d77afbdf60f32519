"""Photos by file name, path and weekday: in a search and while browsing the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from indexer.collection import Collection
from indexer.pipeline import index
from search.browse.index import PhotoIndex
from search.request import Request
from search.searcher import Searcher
from tests.photos import make
from tips_model.embedder import open_embedder

PHOTOS = {
    "2021/Rome/IMG_2001.jpg": datetime(2021, 5, 1, 12),  # a Saturday
    "2021/Rome/IMG_2002.JPG": datetime(2021, 5, 2, 12),
    "2022/Cafe\u0301 [old]/scan.png": None,
    "2022/a*b.jpg": datetime(2021, 5, 3, 12),
}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    base = tmp_path_factory.mktemp("lookup")
    for number, (name, taken) in enumerate(PHOTOS.items()):
        path = base / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if taken is not None:
            exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
        picture = make.scene().rotate(90 * number, expand=True)
        path.write_bytes(make.encode(picture, "PNG" if name.endswith("png") else "JPEG", exif=exif))
    embedder = open_embedder("nano")
    collection = Collection.create(base / "collection", embedder.info)
    index(collection, [base / "photos"], embedder)
    with Searcher.open(base / "collection", embedder=embedder) as opened:
        yield opened


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("name:img_", [0, 1]),
        ("name:IMG_20*.jpg", [0, 1]),
        ("name:IMG_2001", [0]),
        ("name:rome", []),
        ('name:"a[*]b*"', [3]),
        ("-name:*.png", [0, 1, 3]),
        ("path:2021/rome", [0, 1]),
        ("path:*/2022/*", [2, 3]),
        ("path:Caf\u00e9", [2]),
        ("name:scan|name:2002", [1, 2]),
        ("weekday:sat", [0]),
        ("weekday:weekend", [0, 1]),
        ("weekday:mon,sun", [1, 3]),
        ("-weekday:weekend", [2, 3]),
        ("weekday:tuesday", []),
    ],
)
def test_searching_and_browsing_find_the_same(
    searcher: Searcher, filter: str, found: list[int]
) -> None:
    wanted = sorted([*PHOTOS][number].rpartition("/")[2] for number in found)
    filter = filter.replace("|", " | ") if filter.startswith("name:scan") else filter
    hits = searcher.search(Request(words="red", filter=filter, all=True, limit=50)).hits
    assert sorted(Path(hit.path).name for hit in hits) == wanted
    catalog = searcher._catalog
    browsed = PhotoIndex.load(catalog)
    ids = browsed.ids(browsed.matching(filter))
    assert sorted(ids) == sorted(hit.id for hit in hits)


def test_what_nothing_fits_is_said(searcher: Searcher) -> None:
    found = searcher.search(Request(words="red name:nosuch", all=True))
    assert found.notes == ("Filter: name:nosuch", "No file name of the collection fits 'nosuch'.")
    found = searcher.search(Request(words="red weekday:tue", all=True))
    assert found.notes[1] == "No photo of the collection was taken on a tuesday."
