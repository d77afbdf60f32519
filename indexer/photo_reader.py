"""One found file -> what it holds: known content, pixels for the model, or a reason why not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.errors import DecodeError
from indexer.photos.content import unreadable_id
from indexer.photos.decoder_pool import decoders

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from indexer.photos.limits import Limits
    from tips_model.features import Embedder


@dataclass(slots=True)
class Reading:
    """A file on its way into the catalog.

    As it was found: `file`, and `old_ids`, what its path was known to hold. As it was read: `id`
    ("" when it had gone), the `row` of content that the catalog does not have yet, and `pixels` as
    the model takes them, until it has.
    """

    file: FileRef
    old_ids: tuple[str, ...] = ()
    id: str = ""
    row: PhotoRow | None = None
    pixels: Tensor | None = None


def found(candidates: pl.DataFrame) -> Iterator[Reading]:
    """The files of `changes.Changes.candidates`, to be read."""
    for *facts, old_ids in candidates.select(*FileRef._fields, "old_ids").iter_rows():
        yield Reading(FileRef(*facts), tuple(old_ids or ()))


def read(
    reading: Reading, *, known: Collection[str], embedder: Embedder, limits: Limits
) -> Reading:
    """Read a file that was found; from several threads at once.

    known: ids that need no decoding; it may grow meanwhile. limits: what exceeds them becomes a
    failure.
    """
    path = reading.file.path
    try:
        outcome = decoders().read_file(
            path,
            size=reading.file.size,
            target=embedder.info.image_size,
            limits=limits,
            wanted=lambda key: key not in known,
        )
    except DecodeError as error:
        reading.id = unreadable_id(path)
        reading.row = PhotoRow(reading.id, [reading.file], error.reason)
        return reading
    if outcome is None:
        return reading
    reading.id, *facts = outcome.identity
    reading.file = FileRef(path, reading.file.root, *facts)
    photo = outcome.photo
    if photo is not None:
        shown = (photo.format, photo.width, photo.height, photo.facts, photo.thumbnail)
        reading.row = PhotoRow(reading.id, [reading.file], None, *shown)
        reading.pixels = embedder.prepare(photo.image)
    elif outcome.reason:
        reading.row = PhotoRow(reading.id, [reading.file], outcome.reason)
    return reading
