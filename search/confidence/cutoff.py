"""The confidence line: a cut-off for scores, from what this collection yields for unrelated texts.

A raw cosine has no fixed threshold: the right one depends on the text, the model and the
collection. So every score is first normalised to the text's own scale, then compared with the
*best* photo that each of a few hundred unrelated texts (`search/word_lists/unrelated.txt`) finds in
a sample of the collection.

1.  **Standard scores.** For a text q and a photo x there are two pieces of evidence: the global
    score g = x·q and the best region's score r = max_k x_k·q. Over a sample of n photos each has a
    median and a lower spread (median minus the 15.9 % quantile: one standard deviation of a normal
    law, unaffected by the upper tail, where the matches are). z_g and z_r are the distances from
    the median in units of this spread; z_s = (z_g + z_r) / sqrt(2) is strong where both agree.
    Median and spread are shrunk half of the way towards those of all unrelated texts (`OWN`), since
    a text that the model does not understand has small cosines throughout, which its own scale
    would hide; and further with few photos, by `PRIOR` pseudo-photos: even a collection of one
    photo works, on the texts' scale alone.
2.  **The null law.** Each unrelated text yields its maximum z of each kind. The maximum of many
    light-tailed variables tends to a Gumbel law, exp(-exp(-(z - m) / b)): a straight line in the
    Gumbel plot, from which m and b are read. But some "unrelated" texts do occur in a user's
    photos, and such tops do not follow the law. A forward search excludes them. It starts from
    *phantom texts*, random mixtures of all unrelated texts, which vary like texts and mean nothing;
    tops that are nearly impossible under this law are excluded, the law is fitted to the rest, and
    tops that the new law admits are added again, until nothing changes.
3.  **Evidence.** A photo's evidence for a text is z_s; a place may also count by itself, and for a
    picture there is only one side. e_k = (z_k - m_k) / b_k puts several on one scale; the evidence
    is their maximum, and its null law is again a Gumbel law, fitted the same way. (The maximum of
    all three for a photo found a quarter fewer of a name's photos at the same false alarm rate, on
    photographs: each further kind is a further chance for an unrelated text.)
4.  **The line** is that law's 1 - `ALPHA` quantile, shifted by what the whole collection yields
    beyond the sample: a few dozen of the unrelated texts are searched in all N photos, and the
    median growth of their evidence is added. (For independent photos it would be b ln(N / n); but
    photos resemble each other, and b also includes the variation between texts, so that this would
    shift the line too far.) Calibration thus costs n photos and a few dozen searches, for 20 photos
    or 1,000,000.

The score that users see is evidence on a scale where 0 is the median of what an unrelated text's
best photo gets and 1 is the line. A model that knows nothing makes real queries look like unrelated
ones, and finds nothing.

Letters: Q queries or texts, n sampled photos, m sampled regions, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.arrays import Array

Evidence = Literal["global", "region", "both"]

ALPHA = 0.08
"""The fraction of unrelated texts above the line under the fitted law. Measured, 3 to 6 in 100
texts without a match are (docs/regions.md): the law's upper tail is slightly heavier than theirs.
"""
OWN = 0.5
"""The weight of a text's own scale in a large sample; the rest is that of unrelated texts."""
PRIOR = 10.0
"""Pseudo-photos that shrink a text's scale further towards that of the unrelated texts."""
FIT_RANGE = (0.05, 0.90)
"""The quantile range of the ordered tops to which the Gumbel line is fitted."""
EXPECTED_ABOVE = 0.25
"""A top is excluded where the law expects fewer than this many of all tops."""
FEWEST_TOPS = 20
"""With fewer tops left than this, the law of the phantom texts is used."""
LOWER_SIGMA = 0.15865525
"""The mass of the normal distribution below minus one standard deviation."""
SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Gumbel:
    """The law P(top <= z) = exp(-exp(-(z - mode) / spread)), spread > 0."""

    mode: float
    spread: float

    @classmethod
    def fit(cls, tops: npt.ArrayLike) -> Gumbel:
        """Fit `tops` (T,), T >= 3, by least squares in the Gumbel plot (Gringorten's plotting
        positions).
        """
        ordered = np.sort(np.asarray(tops, np.float64))
        position = (np.arange(1, len(ordered) + 1) - 0.44) / (len(ordered) + 0.12)
        used = (position >= FIT_RANGE[0]) & (position <= FIT_RANGE[1])
        reduced = -np.log(-np.log(position[used]))
        centred = reduced - reduced.mean()
        spread = float(centred @ ordered[used] / (centred @ centred))
        mode = float(ordered[used].mean() - spread * reduced.mean())
        return cls(mode, max(spread, SMALLEST_SPREAD))

    @classmethod
    def search(cls, tops: npt.ArrayLike, phantoms: npt.ArrayLike) -> Gumbel:
        """Fit `tops` (T,) without those that found something; `phantoms` (P,) are tops that
        certainly did not.
        """
        values = np.asarray(tops, np.float64)
        law = cls.fit(phantoms)
        admitted = 0
        while True:
            kept = values[values <= law.quantile(1 - EXPECTED_ABOVE / max(len(values), 1))]
            if len(kept) <= max(admitted, FEWEST_TOPS - 1):
                return law
            admitted = len(kept)
            law = cls.fit(kept)

    def quantile(self, probability: float) -> float:
        """The z below which a top lies with this probability in (0, 1)."""
        return self.mode - self.spread * math.log(-math.log(probability))


@dataclass(frozen=True, slots=True)
class Scale:
    """Prior of the location and spread of scores, from the unrelated texts."""

    location: float
    spread: float

    @classmethod
    def pooled(cls, scores: Array) -> Scale:
        """From the scores (Q, n) of Q unrelated texts: the mean median, and the spread within and
        between texts.
        """
        median, spread = _median_and_spread(scores)
        within = float(np.mean(spread**2))
        return cls(float(median.mean()), math.sqrt(within + float(median.var())) + SMALLEST_SPREAD)

    def of(self, scores: Array) -> tuple[Array, Array]:
        """Location and spread, (Q,) each, of the scores (Q, n), shrunk towards the prior by `OWN`
        and `PRIOR`.
        """
        median, spread = _median_and_spread(scores)
        weight = np.float32(OWN * scores.shape[1] / (scores.shape[1] + PRIOR))
        location = weight * median + (1 - weight) * np.float32(self.location)
        variance = weight * spread**2 + (1 - weight) * np.float32(self.spread**2)
        return location, np.sqrt(variance)


@dataclass(frozen=True, slots=True)
class NullLaw:
    """The null distribution of unrelated queries: one Gumbel law per piece of evidence, and per
    allowed set of them.

    `growth` is how much the evidence of the whole collection's best photo exceeds that of the best
    photo in the sample to which the laws were fitted.
    """

    parts: dict[Evidence, Gumbel]
    joint: dict[tuple[Evidence, ...], Gumbel]
    growth: dict[tuple[Evidence, ...], float]

    @classmethod
    def fit(
        cls,
        tops: dict[Evidence, npt.NDArray[np.float64]],
        phantoms: dict[Evidence, npt.NDArray[np.float64]],
        sets: Sequence[tuple[Evidence, ...]],
    ) -> NullLaw:
        """Fit to the maximum z of each kind over a sample: `tops` (T,) of texts, `phantoms` (P,) of
        mixtures. The law applies to the sample; see `grown`.
        """
        parts = {kind: Gumbel.search(values, phantoms[kind]) for kind, values in tops.items()}

        def greatest(
            kinds: tuple[Evidence, ...], of: dict[Evidence, npt.NDArray[np.float64]]
        ) -> npt.NDArray[np.float64]:
            units = [(of[k] - parts[k].mode) / parts[k].spread for k in kinds]
            return np.asarray(np.max(units, axis=0), np.float64)

        joint = {s: Gumbel.search(greatest(s, tops), greatest(s, phantoms)) for s in sets}
        return cls(parts, joint, dict.fromkeys(joint, 0.0))

    def grown(self, sample: dict[Evidence, Array], whole: dict[Evidence, Array]) -> NullLaw:
        """The law of the whole collection, from the maximum z of some texts, (M,) per kind, over
        the sample and over all photos; evidence missing from the kinds is assumed to grow alike.
        """
        growth = {}
        for kinds in self.joint:
            least, most = (
                np.max(
                    [
                        (z[k] - self.parts[k].mode) / self.parts[k].spread
                        for k in ([k for k in kinds if k in z] or z)
                    ],
                    axis=0,
                )
                for z in (sample, whole)
            )
            growth[kinds] = max(0.0, float(np.median(most - least)))
        return replace(self, growth=growth)

    def growing_like(self, other: NullLaw) -> NullLaw:
        """This law with the other's growth, averaged over its sets, in units of the spreads."""
        units = [other.growth[s] / law.spread for s, law in other.joint.items()]
        mean = float(np.mean(units))
        return replace(self, growth={s: mean * law.spread for s, law in self.joint.items()})

    def score(self, z: dict[Evidence, Array]) -> Array:
        """Convert standard scores to the user score: 0 the median of the null law, 1 the line; same
        shape as the arrays.

        -inf in an array means that this evidence is unknown.
        """
        kinds = tuple(z)
        law = self.joint[kinds]
        evidence = np.max(
            [(z[k] - self.parts[k].mode) / self.parts[k].spread for k in kinds], axis=0
        )
        growth = self.growth[kinds]
        middle = law.quantile(0.5) + growth
        line = law.quantile(1 - ALPHA) + growth
        score: Array = ((evidence - middle) / (line - middle)).astype(np.float32)
        return score


def best_region(scores: Array, starts: npt.NDArray[np.int64]) -> Array:
    """The maximum region score of each photo: (Q, m) with the regions of photo i from starts[i] ->
    (Q, n).
    """
    return np.maximum.reduceat(scores, starts, axis=1)


def _median_and_spread(scores: Array) -> tuple[Array, Array]:
    low, median = np.quantile(scores, [LOWER_SIGMA, 0.5], axis=1).astype(np.float32)
    spread: Array = median - low
    return median, spread
