"""Index a COCO-format set as a collection, like a user's folder, and open it for searching."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from indexer.collection import Collection
from indexer.folders.paths import to_text
from indexer.pipeline import index
from search.searcher import Searcher
from tips_model.eval.coco import CocoSet, EvalDataError, read_coco_set
from tips_model.features import Embedder


@dataclass(frozen=True, slots=True)
class IndexedSet:
    """The searcher of a set's collection, the set without byte-identical duplicates, and the ids
    (N,) of its pictures.
    """

    searcher: Searcher
    data: CocoSet
    ids: tuple[str, ...]


@contextmanager
def indexed_set(
    folder: Path, embedder: Embedder, *, tiles: int = 1, collection: Path | None = None
) -> Iterator[IndexedSet]:
    """Index the pictures of a set with a model and open the collection.

    It is stored in `collection`, where existing photos are not embedded again, or in a temporary
    folder. Raises `EvalDataError` unless its photos are those of the set, and the `TipsError`s of
    indexing.
    """
    data = read_coco_set(folder)
    with ExitStack() as stack:
        if collection is None:
            collection = Path(stack.enter_context(TemporaryDirectory())) / "collection"
        if Collection.exists(collection):
            made = Collection.open(collection)
            if made.tiles != tiles:
                raise EvalDataError(
                    f"{collection} was made with {made.tiles} tiles a side, not {tiles}; name "
                    "another folder."
                )
        else:
            made = Collection.create(collection, embedder.info, tiles=tiles)
        index(made, [folder / "images"], embedder)
        catalog = made.catalog()
        files, sound = catalog.files(), catalog.ids()
        known = {
            path: key
            for path, key in zip(files["path"], files["id"], strict=True)
            if sound.get(key)
        }
        first = {_id_of(image.path, known): image for image in reversed(data.images)}
        surplus = [path for path, key in known.items() if key not in first]
        if surplus:
            raise EvalDataError(
                f"{collection} holds photos that the set does not name, such as {surplus[0]}; move "
                "them elsewhere and name a new folder for the collection."
            )
        ids = tuple(reversed(first))
        kept = replace(data, images=tuple(first[key] for key in ids))
        searcher = stack.enter_context(Searcher.open(collection, embedder=embedder))
        yield IndexedSet(searcher, kept, ids)


def _id_of(path: Path, known: dict[str, str]) -> str:
    text = to_text(os.fsencode(os.path.abspath(path)))
    if text not in known:
        raise EvalDataError(f"{text} is missing or cannot be read; fix or remove it.")
    return known[text]
