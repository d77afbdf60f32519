"""One candidate file -> what it holds: known content, pixels for the model, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.errors import DecodeError
from indexer.photos.content import unreadable_id
from indexer.photos.decoders import Decoders, decoders
from indexer.photos.limits import Limits

if TYPE_CHECKING:
    import polars as pl
    from PIL.Image import Image
    from torch import Tensor


class Candidate(NamedTuple):
    """A file to read (see `changes.Changes`): `old_ids` is what its path was known to hold."""

    path: str
    root: str
    size: int
    mtime_ns: int
    ctime_ns: int
    old_ids: tuple[str, ...]
    kind: str


def candidates(frame: pl.DataFrame) -> Iterator[Candidate]:
    """The rows of `changes.Changes.candidates`."""
    columns = [name for name in Candidate._fields if name != "old_ids"]
    for row in frame.iter_rows(named=True):
        known = tuple(row["old_ids"] or ())
        yield Candidate(**{name: row[name] for name in columns}, old_ids=known)


@dataclass(slots=True)
class Reading:
    """A file that was read. `row` is None when its content is in the catalog already; `pixels` is
    what the model takes, None when there is nothing to embed."""

    candidate: Candidate
    id: str
    file: FileRef
    row: PhotoRow | None = None
    pixels: Tensor | None = None


@dataclass(frozen=True)
class Reader:
    """Reads files, from several threads at once.

    known: ids that need no decoding; it may grow while the reader works. prepare, image_size: of
    the embedder. limits: what exceeds them becomes a failure. decoders: the processes that read.
    """

    known: Collection[str]
    prepare: Callable[[Image], Tensor]
    image_size: int
    limits: Limits = field(default_factory=Limits)
    decoders: Decoders = field(default_factory=decoders)

    def read(self, candidate: Candidate) -> Reading | None:
        """Read one file; None when it has gone since it was found."""
        found = FileRef(*candidate[:5])
        try:
            outcome = self.decoders.read_file(
                candidate.path,
                size=candidate.size,
                target=self.image_size,
                limits=self.limits,
                wanted=lambda key: key not in self.known,
            )
        except DecodeError as error:
            key = unreadable_id(candidate.path)
            return Reading(candidate, key, found, PhotoRow(key, [found], error.reason))
        if outcome is None:
            return None
        key, size, mtime_ns, ctime_ns = outcome.identity
        file = found._replace(size=size, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
        photo = outcome.photo
        if photo is None:
            row = PhotoRow(key, [file], outcome.reason) if outcome.reason else None
            return Reading(candidate, key, file, row)
        row = PhotoRow(
            key,
            [file],
            None,
            photo.format,
            photo.width,
            photo.height,
            photo.facts,
            photo.thumbnail,
        )
        return Reading(candidate, key, file, row, self.prepare(photo.image))
