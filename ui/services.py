"""What the page asks for, answered by the search and the catalog; nothing here draws a widget."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexer.collection import Collection
from indexer.vectors import Match
from search.draw import draw_boxes, draw_hit
from search.errors import QueryError
from search.hits import Hit, RegionHit, Results
from search.language import QUOTED, TYPOGRAPHIC, parse, with_pictures
from search.query import ImageTerm, Query
from search.scene import Scene
from search.searcher import Searcher
from ui.options import pick_device
from ui.state import Overlay, View
from ui.words import counted, day, exposure_time, file_size, shown

if TYPE_CHECKING:
    from indexer.catalog import Catalog

PAGE_SIZE = 24
POSSIBLE = 24
LARGE = 1200  # side of the large picture in pixels, about
SAMPLE = 12
THUMBNAIL_QUALITY = 82
NAMED_FILE = re.compile(r"(?:^|[\s(:])(?:\.{0,2}/|~/)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of confident hits, and the nearest of the rest.

    confident: how many there are on all pages. searched: photos that passed the filter. notes:
    sentences for the user.
    """

    hits: tuple[Hit, ...]
    possible: tuple[Hit, ...]
    confident: int
    searched: int
    notes: tuple[str, ...]

    @property
    def pages(self) -> int:
        """Pages of confident hits, at least one."""
        return max(1, -(-self.confident // PAGE_SIZE))


class Library:
    """An open collection. Sessions share it, one at a time."""

    def __init__(self, collection: Collection, searcher: Searcher) -> None:
        self.collection = collection
        self._searcher = searcher
        self._refreshed = 0
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Library:
        """Open the collection in `folder` for reading; raises `TipsError` when it is not one."""
        collection = Collection.open(folder)
        return cls(collection, Searcher.open(folder, device=pick_device("auto")))

    @cached_property
    def _catalog(self) -> Catalog:
        return self.collection.catalog()

    def refresh(self) -> int:
        """Take up what was indexed meanwhile; a number that changes when there was something."""
        with self._lock:
            self._refreshed += self._searcher.refresh()
            return self._refreshed

    def counts(self) -> dict[str, int]:
        """Photos by status: ok, failed, removed."""
        return self._catalog.counts()

    def answer(self, view: View) -> Answer:
        """Ask what the view asks. Raises `TipsError` for a question that cannot be asked."""
        with self._lock:
            found = self._ask(view, PAGE_SIZE, (view.page - 1) * PAGE_SIZE, weak=False)
            rest = self._ask(view, POSSIBLE, found.confident, weak=True)
        return Answer(found.hits, rest.hits, found.confident, found.searched, found.notes)

    def _ask(self, view: View, limit: int, offset: int, *, weak: bool) -> Results:
        chosen = view.filter or None
        if view.like and not view.q:
            return self._searcher.similar(
                view.like, limit=limit, offset=offset, filter=chosen, all=weak
            )
        ask = self._searcher.regions if view.finds_places else self._searcher.images
        return ask(question(view), limit=limit, offset=offset, filter=chosen, all=weak)

    def sample(self) -> tuple[Hit, ...]:
        """Some photos of the collection, for a page on which nothing was asked yet."""
        batches = self._catalog.changed_since(0, columns=["id", "status"], batch_rows=SAMPLE * 4)
        rows = next(batches, None)
        if rows is None:
            return ()
        good = [row["id"] for row in rows.to_pylist() if row["status"] == "ok"]
        return tuple(hit for hit in map(self.hit, good[:SAMPLE]) if hit is not None)

    def hit(self, identifier: str) -> Hit | None:
        """A photo of the collection without a score; None when it is not one."""
        row = self._row(identifier)
        if row is None:
            return None
        paths = tuple(file["path"] for file in row["files"]) or ("",)
        return Hit(
            id=identifier,
            path=paths[0],
            paths=paths,
            score=0.0,
            confident=False,
            width=row["width"],
            height=row["height"],
        )

    def thumbnail(self, identifier: str) -> Image.Image | None:
        """The photo's thumbnail from the catalog."""
        data = self._catalog.thumbnails([identifier]).get(identifier)
        return None if data is None else Image.open(io.BytesIO(data)).convert("RGB")

    def photo(self, identifier: str) -> Image.Image:
        """The photo from its file, upright and reduced; raises `TipsError` when it cannot be read
        now.
        """
        return self._searcher.photo(identifier, side=LARGE)

    def places(self, identifier: str, words: str) -> tuple[RegionHit, ...]:
        """The places in one photo that show the words, best first, the best one at least; computed
        from its file, if that can be read.
        """
        refuse_files(words)
        with self._lock:
            alone = Match("image", (identifier,))
            found = self._searcher.regions(words, filter=alone, limit=1, all=True, refine=True)
        return found.hits[0].regions if found.hits else ()

    def heat(self, identifier: str, words: str, *, exact: bool) -> npt.NDArray[np.float32]:
        """The heat map (h, w) of the words on one photo, in [0, 1]."""
        refuse_files(words)
        with self._lock:
            return self._searcher.heatmap(identifier, words, exact=exact)

    def facts(self, identifier: str) -> list[tuple[str, str]]:
        """What is known of a photo, as label and text."""
        row = self._row(identifier)
        return [] if row is None else _facts(row)

    def _row(self, identifier: str) -> dict[str, Any] | None:
        frame = self._catalog.photos([identifier])
        return None if frame.is_empty() else frame.row(0, named=True)


def question(view: View) -> Query | Scene:
    """What the view asks for, read as `tips search` and `tips regions` do. Files cannot be named:
    the page may be open to others than the owner of the disk.
    """
    refuse_files(view.q)
    like = (ImageTerm(view.like),) if view.like else ()
    if not view.q:
        return Query(images=like)
    return with_pictures(parse(view.q, places=view.finds_places), like)


def refuse_files(words: str) -> None:
    """Raise `QueryError` for words that name a picture file outside quotes."""
    if NAMED_FILE.search(QUOTED.sub("", words.translate(TYPOGRAPHIC))):
        raise QueryError('A picture file cannot be named here; put the words in quotes ("...").')


def drawn(
    picture: Image.Image,
    hit: Hit,
    overlay: Overlay,
    heat: npt.NDArray[np.float32] | None = None,
    label: str | None = None,
) -> bytes:
    """The picture with the hit's regions laid over it, as JPEG; `label` None draws bare boxes."""
    if overlay == "Box" and label is None:
        picture = draw_boxes(picture, [place.box for place in hit.regions], [])
    elif overlay != "None":
        shown_heat = heat if overlay == "Heat" else None
        boxes, masks = overlay == "Box", overlay == "Mask"
        picture = draw_hit(
            picture, hit, label=label or "", boxes=boxes, masks=masks, heat=shown_heat
        )
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _facts(row: dict[str, Any]) -> list[tuple[str, str]]:
    lens = [row["lens"]] if row["lens"] else []
    if row["focal_length"]:
        lens.append(f"{row['focal_length']:g} mm")
    light = [f"f/{row['f_number']:g}"] if row["f_number"] else []
    light += [exposure_time(row["exposure"])] if row["exposure"] else []
    light += [f"ISO {row['iso']}"] if row["iso"] else []
    place = ""
    if row["latitude"] is not None and row["longitude"] is not None:
        place = f"{row['latitude']:.5f}, {row['longitude']:.5f}"
    facts: Sequence[tuple[str, str]] = (
        ("Taken", day(row["taken"]) if row["taken"] else ""),
        ("Camera", row["camera"] or ""),
        ("Lens", ", ".join(lens)),
        ("Exposure", ", ".join(light)),
        ("Place", place),
        ("Size", f"{row['width']:,} × {row['height']:,} px, {file_size(row['bytes'])}"),
        ("Type", (row["format"] or "").upper()),
        *(("File", shown(file["path"])) for file in row["files"]),
        ("Copies", counted(len(row["files"]), "file") if len(row["files"]) > 1 else ""),
    )
    return [(label, text) for label, text in facts if text]
