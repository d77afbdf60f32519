"""Calibrate scores: standardise a query's scores against those of unrelated queries.

`Calibration` holds a sample of the collection (see `search/confidence/sample.py`), the vectors of
the unrelated texts, and the null distributions of `search/confidence/cutoff.py` fitted to both. It
turns the terms of a query into one search direction, and raw products into scores.

**Directions.** A single text ranks by its plain cosines: subtracting the mean text loses the photos
that show one thing clearly (mean average precision of `nano` on the bundled pictures: 0.54 with,
0.68 without). In a query of several terms each vector v is divided by the spread s of its products
with the sample, for pictures after subtracting their mean c. So a word and a picture have equal
weight in `2:red + ./mug.jpg`, although pictures lie far nearer to each other than texts lie to
pictures. Every product with the summed direction is an affine function of the cosines, so the
vector store can rank by it directly.

Letters: n sampled photos, m sampled regions, T unrelated texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.vectors import Kind
from search.arrays import Array
from search.confidence.cutoff import Evidence, NullLaw, Scale, best_region

PHANTOMS = 128
"""Random mixtures used as the starting point of the null distributions."""
NEGATIVE = 0.3
"""The effect of a negative weight of 1, as in Rocchio's relevance feedback (0.15 to 0.75). At full
strength "A - B" loses the photos of A: mean average precision of `nano` over 150 pairs of names was
0.65 at 0.3 and 0.43 at 1, because all texts share a direction that the difference removes.
"""
ASKED = 48
"""Number of unrelated texts that are searched in the whole collection."""
NULL_PICTURES = 256
"""Number of sampled photos, and of sampled regions, that serve as unrelated pictures."""
SEED = 0
TEXT_SETS: tuple[tuple[Evidence, ...], ...] = (("both",), ("region", "both"))
"""Evidence per ranking: photos are judged by both together, places also by their regions alone."""
PICTURE_SETS: tuple[tuple[Evidence, ...], ...] = (("global",), ("region",))


@dataclass(frozen=True, slots=True)
class Sample:
    """n photos of a collection: unit vectors `photos` (n, D) and `regions` (m, D), photo i's
    regions from `starts[i]`.

    Every photo has at least one region. `population` is the number of photos that the sample stands
    for. `tops` are the maximum cosines over all of them, (M,) per kind, with the unrelated texts of
    `asked`; None when the sample is the whole collection.
    """

    photos: Array
    regions: Array
    starts: npt.NDArray[np.int64]
    population: int
    tops: dict[Kind, Array] | None = None

    def owners(self) -> npt.NDArray[np.int64]:
        """The photo of each region, (m,)."""
        return np.repeat(
            np.arange(len(self.starts)), np.diff(self.starts, append=len(self.regions))
        )


@dataclass(frozen=True, slots=True)
class TermVector:
    """A unit vector (D,) of a query's term, its weight, and whether it came from a picture."""

    vector: Array
    weight: float
    picture: bool


@dataclass(frozen=True, slots=True)
class Direction:
    """A search direction: the unit vector for the store, (D,), and the affine map from its cosines
    to standard scores.
    """

    vector: Array
    location: float
    spread: float
    picture: bool

    def cosines(self, vectors: Array) -> Array:
        """The cosines (N,) of unit vectors (N, D) with `vector`; bitwise independent of the other
        rows.
        """
        products: Array = _products(self.vector[None], vectors)[0]
        return products

    def standard(self, cosines: Array) -> Array:
        """Cosines with `vector` -> standard scores z, any shape."""
        return ((cosines - self.location) / self.spread).astype(np.float32)


class Side:
    """One kind of vectors (photos or regions): its sample, means, and priors for texts and for
    pictures.
    """

    def __init__(
        self, sample: Array, starts: npt.NDArray[np.int64] | None, texts: Array, pictures: Array
    ) -> None:
        self._sample, self._starts = sample, starts
        self.picture_centre = sample.mean(axis=0)
        self.texts = texts
        self.pictures = _unit(pictures - self.picture_centre)
        self._text_scale = Scale.pooled(self.scores(self.texts))
        self._picture_scale = Scale.pooled(self.scores(self.pictures))

    def scores(self, directions: Array) -> Array:
        """Each sampled photo's score, (Q, n): its own product with the directions (Q, D), or that
        of its best region.
        """
        few = len(directions) == 1
        scores = _products(directions, self._sample) if few else directions @ self._sample.T
        return scores if self._starts is None else best_region(scores, self._starts)

    def standard(self, directions: Array, *, picture: bool) -> Array:
        """Standard scores (Q, n) of the sampled photos for the unit directions (Q, D)."""
        scores = self.scores(directions)
        location, spread = self._scale(picture).of(scores)
        return (scores - location[:, None]) / spread[:, None]

    def raised(self, rows: npt.NDArray[np.int64], cosines: Array) -> Array:
        """Standard scores (M,) of cosines (M,) with the texts in these rows, on their scales."""
        location, spread = self._text_scale.of(self.scores(self.texts[rows]))
        return ((cosines - location) / spread).astype(np.float32)

    def direction(self, terms: Sequence[TermVector]) -> Direction:
        """The combined search direction of the terms."""
        centred = np.stack([t.vector - t.picture * self.picture_centre for t in terms])
        summed = centred[0]
        if len(terms) > 1:
            spread = np.maximum((centred @ self._sample.T).std(axis=1), 1e-6)
            weights = np.array(
                [t.weight * (NEGATIVE if t.weight < 0 else 1) for t in terms], np.float32
            )
            summed = (weights / spread) @ centred
        vector = _unit(summed[None])
        picture = any(term.picture for term in terms)
        location, scale = self._scale(picture).of(self.scores(vector))
        return Direction(vector[0], float(location[0]), float(scale[0]), picture)

    def _scale(self, picture: bool) -> Scale:
        return self._picture_scale if picture else self._text_scale


class Calibration:
    """The null distributions of a collection for one model; see the module's docstring.

    `photo_texts` and `region_texts` are the unit vectors (T, D) of the unrelated texts as they are
    compared with photos and with regions.
    """

    def __init__(self, sample: Sample, photo_texts: Array, region_texts: Array) -> None:
        rng = np.random.default_rng(SEED)
        count = len(sample.photos)
        photo_rows = rng.permutation(count)[:NULL_PICTURES]
        region_rows = rng.permutation(len(sample.regions))[:NULL_PICTURES]
        self.sides: dict[Kind, Side] = {
            "images": Side(sample.photos, None, photo_texts, sample.photos[photo_rows]),
            "regions": Side(
                sample.regions, sample.starts, region_texts, sample.regions[region_rows]
            ),
        }
        mixture = rng.standard_normal((PHANTOMS, len(photo_texts))).astype(np.float32)
        self._text_law = self._fit_texts(mixture, sample.tops)
        self._picture_law = self._fit_pictures(rng, photo_rows, sample.owners()[region_rows], count)

    def score(self, z: dict[Evidence, Array], *, picture: bool) -> Array:
        """Convert standard scores of photos or regions to user scores: 1 is the line. See
        `NullLaw.score`.
        """
        law = self._picture_law if picture else self._text_law
        return law.score(z)

    def _fit_texts(self, mixture: Array, whole: dict[Kind, Array] | None) -> NullLaw:
        real: dict[Kind, Array] = {}
        phantom: dict[Kind, Array] = {}
        for kind, side in self.sides.items():
            real[kind] = side.standard(side.texts, picture=False)
            phantom[kind] = side.standard(phantoms(side.texts, mixture), picture=False)
        law = NullLaw.fit(_tops(real), _tops(phantom), TEXT_SETS)
        if whole is None:
            return law
        rows = asked(len(self.sides["images"].texts))
        named: tuple[tuple[Evidence, Kind], ...] = (("global", "images"), ("region", "regions"))
        return law.grown(
            {evidence: real[kind][rows].max(axis=1) for evidence, kind in named},
            {evidence: self.sides[kind].raised(rows, whole[kind]) for evidence, kind in named},
        )

    def _fit_pictures(
        self,
        rng: np.random.Generator,
        photo_owners: npt.NDArray[np.int64],
        region_owners: npt.NDArray[np.int64],
        photos: int,
    ) -> NullLaw:
        tops: dict[Evidence, npt.NDArray[np.float64]] = {}
        phantoms: dict[Evidence, npt.NDArray[np.float64]] = {}
        named: tuple[tuple[Evidence, Kind, npt.NDArray[np.int64]], ...] = (
            ("global", "images", photo_owners),
            ("region", "regions", region_owners),
        )
        for evidence, kind, owners in named:
            side = self.sides[kind]
            z = side.standard(side.pictures, picture=True)
            z[
                np.arange(len(owners)), owners
            ] = -np.inf  # a picture does not count as finding its own photo
            tops[evidence] = z.max(axis=1).astype(np.float64) if photos > 1 else np.empty(0)
            mixture = rng.standard_normal((PHANTOMS, len(side.pictures))).astype(np.float32)
            mixed = side.standard(_unit(mixture @ side.pictures), picture=True)
            phantoms[evidence] = mixed.max(axis=1).astype(np.float64)
        return NullLaw.fit(tops, phantoms, PICTURE_SETS).growing_like(self._text_law)


def asked(texts: int) -> npt.NDArray[np.int64]:
    """The rows of the unrelated texts to search in a whole collection, evenly spread."""
    return np.unique(np.linspace(0, texts - 1, min(ASKED, texts)).round().astype(np.int64))


def both(photo_z: Array, region_z: Array) -> Array:
    """The evidence of a photo and its region together: unit variance when they are independent."""
    return ((photo_z + region_z) / np.float32(np.sqrt(2))).astype(np.float32)


def phantoms(texts: Array, mixture: Array) -> Array:
    """Meaningless texts, unit (P, D): as far from the mean of `texts` (T, D) as those are, in the
    directions of random `mixture` (P, T) of their differences.
    """
    centre = texts.mean(axis=0)
    apart = texts - centre
    reach = np.sqrt(np.mean((apart**2).sum(axis=1)))
    return _unit(centre + reach * _unit(mixture @ apart))


def _products(directions: Array, vectors: Array) -> Array:
    """The products (Q, N) of few directions (Q, D) with vectors (N, D).

    Avoids BLAS: its threads would keep spinning for 30 ms on cores that the store needs, and its
    last bits depend on N.
    """
    products: Array = np.einsum("qd,nd->qn", directions, vectors)
    return products


def _tops(z: dict[Kind, Array]) -> dict[Evidence, npt.NDArray[np.float64]]:
    kinds: dict[Evidence, Array] = {
        "global": z["images"],
        "region": z["regions"],
        "both": both(z["images"], z["regions"]),
    }
    return {kind: values.max(axis=1).astype(np.float64) for kind, values in kinds.items()}


def _unit(vectors: Array) -> Array:
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)
