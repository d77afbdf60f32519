"""Read one found file: known content, pixels for the model, or the reason why it is unreadable."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.errors import DecodeError
from indexer.photos.content import unreadable_id
from indexer.photos.decoder_pool import decoders
from indexer.photos.facts import filled, name_facts

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from indexer.photos.decode import Photo
    from indexer.photos.limits import Limits
    from tips_model.features import Embedder


@dataclass(slots=True)
class Reading:
    """A file on its way into the catalog.

    From the scan: `file`, and `old_ids`, the known contents of its path. From reading: `id` (""
    when the file is gone), the `row` of content that is new to the catalog, and `pixels` prepared
    for the model, until they are embedded.
    """

    file: FileRef
    old_ids: tuple[str, ...] = ()
    id: str = ""
    row: PhotoRow | None = None
    pixels: Tensor | None = None


def found(candidates: pl.DataFrame) -> Iterator[Reading]:
    """Readings for the files of `changes.Changes.candidates`."""
    for *facts, old_ids in candidates.select(*FileRef._fields, "old_ids").iter_rows():
        yield Reading(FileRef(*facts), tuple(old_ids or ()))


def read(
    reading: Reading, *, known: Collection[str], embedder: Embedder, limits: Limits
) -> Reading:
    """Read a found file; thread-safe.

    known: ids that need no decoding; it may grow meanwhile. limits: exceeding them is a failure.
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
        reading.row = row_of(reading.id, [reading.file], path, photo)
        reading.pixels = embedder.prepare(photo.image)
    elif outcome.reason:
        reading.row = PhotoRow(reading.id, [reading.file], outcome.reason)
    return reading


def row_of(key: str, files: list[FileRef], path: str, photo: Photo) -> PhotoRow:
    """The row of a photo that was decoded, without features; the name in `path` may say when."""
    return PhotoRow(
        key,
        files,
        None,
        photo.format,
        photo.width,
        photo.height,
        filled(photo.facts, name_facts(path)),
        photo.thumbnail,
        notes=photo.notes,
    )
