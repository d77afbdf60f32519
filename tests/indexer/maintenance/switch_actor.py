"""A process that switches a collection to another model and is killed on the way.

    python -m tests.indexer.maintenance.switch_actor COLLECTION POINT

It sends itself SIGKILL when the point is reached: "commit-N" before the N-th commit of the build,
"flipped" after the collection's file is replaced.
"""

from __future__ import annotations

import sys

from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.maintenance import model_switch
from indexer.options import IndexOptions
from tests.indexer.index_actor import _Fuse as Fuse
from tests.search.colours import ColourEmbedder

OPTIONS = IndexOptions(window=4, commit_photos=2, threads=2)


def main(folder: str, point: str) -> None:
    """Build and switch; die when it is time."""
    fuse = Fuse(point)
    commit, use_part = Catalog.commit, Collection.use_part

    def mortal_commit(self: Catalog, rows: object, links: object = ()) -> int:
        fuse.burn("commit")
        return commit(self, rows, links)  # type: ignore[arg-type]

    def mortal_use_part(self: Collection, part: object, previous: object) -> Collection:
        changed = use_part(self, part, previous)  # type: ignore[arg-type]
        fuse.burn("flipped")
        return changed

    Catalog.commit = mortal_commit  # type: ignore[method-assign, assignment]
    Collection.use_part = mortal_use_part  # type: ignore[method-assign, assignment]

    embedder = ColourEmbedder()
    collection = Collection.open(folder)
    with model_switch.building(collection):
        other = model_switch.following(collection) or model_switch.begin(collection, embedder.info)
        model_switch.build(collection, other, lambda: embedder, options=OPTIONS)
        model_switch.take_over(collection, other, lambda: embedder)


if __name__ == "__main__":
    main(*sys.argv[1:])
