"""Turn the terms of a query into vectors for comparison with photos or with regions."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexer.vectors import Kind, VectorError, VectorStore, image_point_id
from search.arrays import Array
from search.confidence.calibration import TermVector
from search.errors import QueryError
from search.hits import Box
from search.query import ImageTerm, Query
from search.query_encoder import PictureFeatures, QueryEncoder, open_picture
from search.scenes.scene import Scene, things
from search.stored_photos import open_photo, pool, pool_patches, regions_of

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog


class TermReader:
    """Turns terms (words, files, photos of one collection) into unit vectors of one model."""

    def __init__(self, encoder: QueryEncoder, catalog: Catalog, store: VectorStore) -> None:
        self._encoder, self._catalog, self._store = encoder, catalog, store
        self._info = encoder.embedder.info

    def read(self, query: Query, kind: Kind, *, exact: bool = False) -> list[TermVector]:
        """One vector per term, for a search among `kind`.

        `exact`: compute parts of indexed photos from the pixels instead of the stored regions.
        """
        self._check_script(query)
        vectors = (
            self._encoder.texts([term.text for term in query.texts], kind) if query.texts else ()
        )
        terms = [
            TermVector(vector, term.weight, picture=False)
            for term, vector in zip(query.texts, vectors, strict=True)
        ]
        picture = self._as_photo if kind == "images" else self._as_region
        terms += [TermVector(picture(t, exact), t.weight, picture=True) for t in query.images]
        return terms

    def notes(self, query: Query) -> tuple[str, ...]:
        """Notes for the user about how the texts were read."""
        cut = [self._encoder.cut(term.text) for term in query.texts]
        long = tuple(
            f"The text is longer than the model can read; ignored: '{rest}'."
            for rest in cut
            if rest
        )
        return long

    def scene_notes(self, scene: Scene) -> tuple[str, ...]:
        """The notes on all things of a scene."""
        found = [note for thing in things(scene.clause) for note in self.notes(thing.query)]
        return tuple(dict.fromkeys(found))

    def _check_script(self, query: Query) -> None:
        """Raise `QueryError` for a text in a script that the model cannot read."""
        if self._info.name.startswith("openclip:"):  # some of those read many languages
            return
        for term in query.texts:
            if not is_latin(term.text):
                raise QueryError(
                    f"'{term.text}' is not in Latin letters, and the model {self._info.name} reads "
                    "English; write the query in English."
                )

    def _as_photo(self, term: ImageTerm, exact: bool) -> Array:
        if isinstance(term.source, str) and term.box is None:
            try:
                point = image_point_id(term.source)
                found = self._store.vectors("images", [point], self._info.retrieval_head)
            except (ValueError, VectorError):
                raise QueryError(
                    f"There is no photo with the id {term.source} in this collection."
                ) from None
            return np.asarray(found[0], np.float32)
        image = self._open(term.source)
        if term.box is not None:
            image = crop(image, term.box)
        heads = self._encoder.picture(image).heads
        return heads[self._info.retrieval_head]

    def _as_region(self, term: ImageTerm, exact: bool) -> Array:
        if isinstance(term.source, str) and not exact:
            return pool(regions_of(self._catalog, term.source), term.box or (0, 0, 1, 1))
        return pool_patches(self.features(term.source).patches, term.box)

    def features(self, source: Path | str | Image.Image) -> PictureFeatures:
        """The features of a file, an indexed photo or a picture in memory, computed now."""
        return self._encoder.picture(self._open(source))

    def _open(self, source: Path | str | Image.Image) -> Image.Image:
        if isinstance(source, Image.Image):
            return source.convert("RGB")
        if isinstance(source, Path):
            return open_picture(source, self._info.image_size)
        return open_photo(self._catalog, source, side=self._info.image_size)


def is_latin(text: str) -> bool:
    """Whether a text has letters or digits, and most of its letters are Latin."""
    letters = [char for char in text if char.isalpha()]
    latin = sum(unicodedata.name(char, "").startswith("LATIN") for char in letters)
    return 2 * latin >= len(letters) and any(char.isalnum() for char in text)


def crop(image: Image.Image, box: Box) -> Image.Image:
    """The part of the picture in a box of fractions, at least one pixel wide and high."""
    width, height = image.size
    left, top = int(box[0] * width), int(box[1] * height)
    right, bottom = max(left + 1, round(box[2] * width)), max(top + 1, round(box[3] * height))
    return image.crop((left, top, right, bottom))
