"""How things lie in photographs, by their boxes, and pairs of a photograph and its mirror image, in
which what is left is right; for `bench/relations.py`.

Letters: N pictures, C names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from relation_pairs import SENTENCES, Pair, quoted, where
from relation_questions import Lie

from tips_model.eval.coco import CocoSet, fractions, shown_names
from tips_model.pictures import open_picture
from tips_model.train.scenes.concepts import article


def read_lie(data: CocoSet) -> Lie:
    """Where the named things of a set lie."""
    place = np.full((len(data.images), len(data.categories), 4), np.nan)
    for number, image in enumerate(data.images):
        kinds = [thing.category for thing in image.objects]
        for thing in image.objects:
            if kinds.count(thing.category) == 1:
                place[number, thing.category] = fractions(image, thing)
    return Lie(data.categories, place, shown_names(data).T)


def mirrored_pairs(
    rng: np.random.Generator, lie: Lie, count: int
) -> tuple[list[Pair], npt.NDArray[np.int64]]:
    """At most `count` pairs of each relation, and the photograph (P,) of each.

    Left and right of: of two things of which one ends before the other begins. Position: of a thing
    whose middle is in the left or right third.
    """
    found: dict[str, list[tuple[int, Pair]]] = {}
    for number, place in enumerate(lie.place):
        single = np.flatnonzero(~np.isnan(place[:, 0]))
        for pair in _of(lie.names, place, single):
            found.setdefault(pair.relation, []).append((number, pair))
    chosen = [pairs[row] for pairs in found.values() for row in rng.permutation(len(pairs))[:count]]
    return [pair for _, pair in chosen], np.array([number for number, _ in chosen], np.int64)


def _of(
    names: Sequence[str], place: npt.NDArray[np.float64], single: npt.NDArray[np.int64]
) -> Iterator[Pair]:
    for a in single:
        one = names[a]
        middle = (place[a, 0] + place[a, 2]) / 2
        if not 1 / 3 <= middle <= 2 / 3:
            at = where("left" if middle < 1 / 3 else "right")
            yield Pair("position", f"{quoted(one)} {at}", f"{article(one)} {at}", (), ())
        for b in single[place[a, 2] <= place[single, 0]]:
            for relation, first, second in (("left of", a, b), ("right of", b, a)):
                query = f"{quoted(names[first])} {relation} {quoted(names[second])}"
                words = f"{article(names[first])} {SENTENCES[relation]} {article(names[second])}"
                yield Pair(relation, query, words, (), ())


def with_mirrored(data: CocoSet, numbers: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint8]]:
    """Each of these photographs (H, W, 3), and its mirror image."""
    for number in numbers:
        with open_picture(data.images[number].path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        yield pixels
        yield np.ascontiguousarray(pixels[:, ::-1])
