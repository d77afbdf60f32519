"""Catalogs whose photos differ in everything that is browsed by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.photos.facts import Facts
from tests.indexer.catalog.catalog_cases import photo
from tests.indexer.vector_cases import CAMERAS, image_id

PHOTOS = 120
FOLDERS = ("", "/photos", "/photos/home", "/photos/trips", "/photos/trips/Rome", "/Photos", "/b")
MOMENTS = (
    datetime(1969, 12, 31, 23, 59, 59, 500_000),
    datetime(2020, 2, 29),
    datetime(2020, 9, 13, 12, 26, 40, 999_999),
    datetime(2021, 1, 1),
)


def photo_like_no_other(number: int) -> PhotoRow:
    """Photo `number`; each fact is missing from some photos, and some have equal moments, places
    across the date line, or copies in several folders.
    """
    rng = np.random.default_rng([3, number])
    copies = 1 + (rng.random() < 0.3) + (rng.random() < 0.1)
    places = rng.choice(len(FOLDERS), copies)
    days = timedelta(days=int(rng.integers(1200)))
    moment = MOMENTS[number % 4] if number % 3 else datetime(2020, 1, 1, 5, 6, 7, 8) + days
    facts = Facts(
        taken=None if number % 7 == 0 else moment,
        camera=None if number % 5 == 0 else CAMERAS[number % 3],
        lens=None if number % 2 else f"Lens {number % 4}",
        latitude=None if number % 4 == 0 else float(rng.uniform(-80, 80)),
        longitude=None if number % 4 == 0 else float(rng.uniform(-180, 180)),
    )
    if number % 8 == 1:
        facts = replace(facts, latitude=48.0 + number / 100, longitude=11.0)
    return replace(
        photo(number),
        files=[
            FileRef(f"{FOLDERS[p]}/{number}.{n}.jpg", "/", 1, 2, 3) for n, p in enumerate(places)
        ],
        format="JPEG" if number % 5 else "PNG",
        width=100 + number,
        facts=facts,
    )


def photos(numbers: Sequence[int]) -> list[PhotoRow]:
    """These photos."""
    return [photo_like_no_other(number) for number in numbers]


def numbered(ids: Sequence[str], among: Sequence[int]) -> list[int]:
    """The numbers of photos with these ids."""
    known = {image_id(number): number for number in among}
    return [known[identifier] for identifier in ids]
