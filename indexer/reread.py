"""Read facts and thumbnails of known photos again, with the present reader; vectors are kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from indexer.catalog.rows import FileRef, PhotoRow, with_facts
from indexer.chunks import chunks
from indexer.embed import look_ahead
from indexer.errors import DecodeError, StorageError
from indexer.photo_reader import row_of
from indexer.photos.decode import THUMBNAIL
from indexer.photos.decoder_pool import decoders
from indexer.progress import Meter

if TYPE_CHECKING:
    import polars as pl

    from indexer.catalog.table import Catalog
    from indexer.photos.limits import Limits


class _Known(NamedTuple):
    """A photo of the catalog, its files, and the paths of their sidecars."""

    id: str
    files: list[FileRef]
    sidecars: list[str]


def reread(
    catalog: Catalog,
    photos: pl.DataFrame,
    *,
    limits: Limits,
    threads: int,
    batch: int,
    meter: Meter,
    stopped: Callable[[], bool],
) -> int:
    """Read photos (see `changes.photos_of`) and their sidecars again, and commit them `batch` at a
    time; returns how many.

    A photo whose file is gone, has other content or cannot be read now keeps what is known of it.
    May be killed at any moment and rerun: what is committed is not read again.
    """
    known = [
        _Known(key, [FileRef(**file) for file in files], sidecars)
        for key, files, sidecars in photos.select("id", "files", "sidecars").iter_rows()
    ]
    one = partial(_read, limits=limits)
    done = 0
    with closing(look_ahead(one, known, threads=threads, ahead=4 * threads)) as stream:
        for window in chunks(stream, batch):
            fresh = {row.id: row for row in window if row is not None}
            if fresh:
                rows = catalog.rows([*fresh])
                catalog.commit(with_facts(rows, [fresh[key] for key in rows["id"].to_pylist()]))
            done += len(fresh)
            meter.add(len(window), len(window) - len(fresh))
            if stopped():
                break
    return done


def _read(known: _Known, *, limits: Limits) -> PhotoRow | None:
    try:
        outcome = decoders().read_file(
            known.files[0].path,
            size=known.files[0].size,
            target=THUMBNAIL,
            limits=limits,
            wanted=lambda key: key == known.id,
        )
    except (DecodeError, StorageError):
        return None
    if outcome is None or outcome.photo is None or outcome.identity.id != known.id:
        return None
    return row_of(known.id, known.files, outcome.photo, known.sidecars)
