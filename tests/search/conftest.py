"""One real collection of painted pictures for all search tests; they only read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.collection import Collection
from indexer.pipeline import index
from search.searcher import Searcher
from tests.search.colours import ColourEmbedder, paint, save

SHOWN = ("red", "green", "blue", "yellow", "cyan", "magenta")  # orange is in no picture
PLACES = (
    (0.0, 0.0, 0.5, 0.5),
    (0.5, 0.5, 1.0, 1.0),
    (0.25, 0.25, 0.5, 0.75),
    (0.75, 0.0, 1.0, 0.25),
)


def make_photos(folder: Path) -> None:
    """24 pictures with one coloured box each, named COLOUR-PLACE.jpg, and 16 without."""
    for number, name in enumerate(SHOWN):
        for place, box in enumerate(PLACES):
            ground = ("white", "black", "grey", "white")[place]
            trip = "Rome" if number % 2 else "Oslo"
            save(
                paint(ground, [(name, box)], seed=number * 10 + place),
                folder / trip / f"{name}-{place}.jpg",
                camera="Canon EOS R5" if place % 2 else "NIKON Z 6",
                taken=f"{2020 + place}:05:03 10:00:00",
                **({"place": (48.0 + number, 11.0)} if place == 0 else {}),
            )
    for number in range(16):
        ground = ("white", "black", "grey")[number % 3]
        save(paint(ground, [], seed=1000 + number), folder / "plain" / f"{number}.jpg")


@pytest.fixture(scope="session")
def collection_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the collection."""
    base = tmp_path_factory.mktemp("search")
    make_photos(base / "photos")
    embedder = ColourEmbedder()
    collection = Collection.create(base / "collection", embedder.info)
    report = index(collection, [base / "photos"], embedder)
    assert report.failed == 0
    return base / "collection"


@pytest.fixture(scope="session")
def embedder() -> ColourEmbedder:
    """The model of the collection."""
    return ColourEmbedder()


@pytest.fixture(scope="session")
def searcher(collection_folder: Path, embedder: ColourEmbedder) -> Iterator[Searcher]:
    """An open searcher of the collection."""
    with Searcher.open(collection_folder, embedder=embedder) as opened:
        yield opened
