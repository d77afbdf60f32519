"""A process that indexes with the colour embedder and may be killed on the way.

    python -m tests.indexer.index_actor COLLECTION PHOTOS POINT

It sends itself SIGKILL when the point is reached: "before-N" before and "after-N" after the N-th
commit, "publish-N" before the N-th publishing writes, "tidy" at the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.options import IndexOptions
from indexer.pipeline import index
from indexer.progress import Progress
from tests.indexer.colours import ColourEmbedder

OPTIONS = IndexOptions(window=4, commit_photos=1, publish_photos=8, publish_seconds=1e9, threads=2)


class _Fuse:
    def __init__(self, point: str) -> None:
        self.name, _, count = point.partition("-")
        self.left = int(count or 1)

    def burn(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, photos: str, point: str) -> None:
    """Index, and die when it is time."""
    fuse = _Fuse(point)

    commit = Catalog.commit

    def mortal_commit(self: Catalog, rows: object, links: Sequence[object] = ()) -> int:
        fuse.burn("before")
        revision = commit(self, rows, links)
        fuse.burn("after")
        return revision

    Catalog.commit = mortal_commit  # type: ignore[method-assign, assignment]

    def progress(state: Progress) -> None:
        if state.done == 0:
            fuse.burn(state.stage)

    embedder = ColourEmbedder()
    collection = (
        Collection.open(folder)
        if Collection.exists(folder)
        else Collection.create(folder, embedder.info)
    )
    report = index(collection, [photos], embedder, options=OPTIONS, progress=progress)
    print(report.embedded, report.unchanged)


if __name__ == "__main__":
    main(*sys.argv[1:])
