"""Encode the terms of a query into unit vectors, with a cache of recent texts."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexer.errors import DecodeError
from indexer.photos.decoder_pool import decode_file
from indexer.vectors import Kind
from search.arrays import Array
from search.errors import QueryError
from search.templates import PLAIN, bare, expand
from tips_model.templates import TEMPLATES

if TYPE_CHECKING:
    from tips_model.features import Embedder

REMEMBERED = 1024
"""Number of recent texts whose vectors are cached; a few megabytes."""


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """One picture, unit vectors: `heads` name -> (D,), and the patch grid (h, w, D)."""

    heads: dict[str, Array]
    patches: Array


class QueryEncoder:
    """Encodes texts for comparison with photos or with regions, and single pictures."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._templates: dict[Kind, tuple[str, ...]] = {
            "images": PLAIN,
            "regions": TEMPLATES[embedder.info.prompts],
        }
        # Guards the cache; texts are encoded outside, so that an embedder may batch those of
        # several queries.
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, tuple[str, ...]], Array] = OrderedDict()

    def texts(self, texts: Sequence[str], kind: Kind) -> Array:
        """Unit vectors (N, D) of the texts, averaged over the templates for `kind`; cached."""
        templates = self._templates[kind]
        if kind == "regions":
            texts = [bare(text) for text in texts]
        wanted = [(text, templates) for text in dict.fromkeys(texts)]
        with self._lock:
            vectors = {key: self._known[key] for key in wanted if key in self._known}
        missing = [key for key in wanted if key not in vectors]
        fresh = self.encode([expand(text, templates) for text, _ in missing])
        vectors |= dict(zip(missing, fresh, strict=True))
        with self._lock:
            for key in wanted:
                self._known[key] = vectors[key]
                self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return np.stack([vectors[text, templates] for text in texts])

    def encode(self, sentences: Sequence[Sequence[str]]) -> Array:
        """The unit mean of each group of sentences, (N, D); not cached."""
        flat = [sentence for group in sentences for sentence in group]
        if not flat:
            return np.empty((0, self.embedder.info.dim), np.float32)
        vectors = self.embedder.embed_texts(flat)
        starts = np.cumsum([0, *map(len, sentences)])[:-1]
        summed = np.add.reduceat(vectors, starts, axis=0)
        return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), np.float32)

    def picture(self, image: Image.Image) -> PictureFeatures:
        """The features of one upright RGB picture."""
        (batch,) = self.embedder.embed_images([self.embedder.prepare(image)])
        heads = {name: vectors[0] for name, vectors in batch.heads.items()}
        return PictureFeatures(heads, np.asarray(batch.patches[0].float().numpy(), np.float32))

    def cut(self, text: str) -> str:
        """The part of a long text that the model truncates; empty if it reads everything."""
        if not self.embedder.truncated(text):
            return ""
        words = text.split()
        low, high = 0, len(words)  # the first `low` words fit, the first `high` do not
        while high - low > 1:
            middle = (low + high) // 2
            if self.embedder.truncated(" ".join(words[:middle])):
                high = middle
            else:
                low = middle
        return " ".join(words[low:])


def open_picture(path: Path, side: int = 448) -> Image.Image:
    """A picture file named in a query, decoded like an indexed photo: upright, RGB, at least about
    side x side pixels if it has them. Raises `QueryError` when it is unreadable.
    """
    try:
        return decode_file(os.fsencode(path), target=side).image
    except DecodeError as error:
        raise QueryError(f"{path} cannot be read as a picture: {error.reason}.") from error
