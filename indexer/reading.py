"""One candidate file -> what it holds: known content, pixels for the model, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from indexer.content import read_content, unreadable_id
from indexer.decode import MAX_PIXELS, decode_stream
from indexer.errors import DecodeError
from indexer.ignore import extension
from indexer.paths import to_bytes
from indexer.rows import FileRef, PhotoRow

if TYPE_CHECKING:
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
    the embedder. max_pixels: larger pictures become failures.
    """

    known: Collection[str]
    prepare: Callable[[Image], Tensor]
    image_size: int
    max_pixels: int = MAX_PIXELS

    def read(self, candidate: Candidate) -> Reading | None:
        """Read one file; None when it has gone since it was found."""
        found = FileRef(*candidate[:5])
        try:
            content = read_content(candidate.path)
        except DecodeError as error:
            key = unreadable_id(candidate.path)
            return Reading(candidate, key, found, PhotoRow(key, [found], error.reason))
        if content is None:
            return None
        file = found._replace(
            size=content.size, mtime_ns=content.mtime_ns, ctime_ns=content.ctime_ns
        )
        with content.stream:
            if content.id in self.known:
                return Reading(candidate, content.id, file)
            try:
                photo = decode_stream(
                    content.stream,
                    hint=extension(to_bytes(candidate.path)),
                    max_pixels=self.max_pixels,
                    target=self.image_size,
                )
            except DecodeError as error:
                row = PhotoRow(content.id, [file], error.reason)
                return Reading(candidate, content.id, file, row)
        row = PhotoRow(
            content.id,
            [file],
            None,
            photo.format,
            photo.width,
            photo.height,
            photo.facts,
            photo.thumbnail,
        )
        return Reading(candidate, content.id, file, row, self.prepare(photo.image))
