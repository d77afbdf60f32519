"""Read one found file: known content, pixels for the model, or the reason why it is unreadable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.errors import DecodeError
from indexer.photos.content import unreadable_id
from indexer.photos.decoder_pool import decoders
from indexer.photos.facts import filled, name_facts, with_sidecar
from indexer.photos.sidecar import sidecar_facts

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from indexer.photos.decode import Photo
    from indexer.photos.limits import Limits
    from tips_model.features import Embedder


@dataclass(slots=True)
class Reading:
    """A file on its way into the catalog.

    From the scan: `file`, `old_ids`, the known contents of its path, and `sidecars`, the paths of
    files beside it. From reading: `id` (""
    when the file is gone), the `row` of content that is new to the catalog, and `pixels` prepared
    for the model, until they are embedded.
    """

    file: FileRef
    old_ids: tuple[str, ...] = ()
    id: str = ""
    row: PhotoRow | None = None
    pixels: Tensor | None = None
    sidecars: tuple[str, ...] = ()


def found(candidates: pl.DataFrame) -> Iterator[Reading]:
    """Readings for the files of `changes.Changes.candidates`."""
    columns = candidates.select(*FileRef._fields, "old_ids", "sidecars")
    for *facts, old_ids, sidecars in columns.iter_rows():
        yield Reading(FileRef(*facts), tuple(old_ids or ()), sidecars=tuple(sidecars))


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
    identity = outcome.identity
    reading.id = identity.id
    reading.file = reading.file._replace(
        size=identity.size, mtime_ns=identity.mtime_ns, ctime_ns=identity.ctime_ns
    )
    photo = outcome.photo
    if photo is not None:
        reading.row = row_of(reading.id, [reading.file], photo, reading.sidecars)
        reading.pixels = embedder.prepare(photo.image)
    elif outcome.reason:
        reading.row = PhotoRow(reading.id, [reading.file], outcome.reason)
    return reading


def row_of(key: str, files: list[FileRef], photo: Photo, sidecars: Sequence[str] = ()) -> PhotoRow:
    """The row of a photo that was decoded, without features: with what its sidecars (paths) say,
    and the name of its first file.
    """
    beside, unreadable = sidecar_facts(sidecars)
    notes = (*photo.notes, unreadable) if unreadable else photo.notes
    return PhotoRow(
        key,
        files,
        None,
        photo.format,
        photo.width,
        photo.height,
        filled(with_sidecar(photo.facts, beside), name_facts(files[0].path)),
        photo.thumbnail,
        notes=notes,
    )
