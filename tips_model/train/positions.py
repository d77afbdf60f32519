"""Positions of boxes and relations between boxes, in words that are visibly true.

Boxes are x0, y0, x1, y1 as fractions of the picture. Unclear cases give nothing: a wide box is
neither left nor right, and overlapping boxes are not beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tips_model.train.grammar import words

Box = tuple[float, float, float, float]

WIDE = 0.6  # boxes with a longer side span the whole width or height
LARGE, SMALL = 0.3, 0.02  # areas from which a thing is near, and up to which it may be far
_SUPPORTS = {
    "in": "basket bathtub bowl box crate crib cup drawer pan sink suitcase",
    "on": "bed bench chair couch counter desk plate shelf sofa stool table tray",
}
_PREPOSITIONS = {noun: word for word, nouns in _SUPPORTS.items() for noun in nouns.split()}
_SEATS = words("bed bench chair couch sofa stool")
_STANDING = _SEATS | words(
    "bathtub child counter crib desk man microwave oven person refrigerator shelf "
    "sink table toilet tv woman"
)  # these are behind or in front of a table that they seem to be on
_TALL = words(
    "airplane bear boat building bus car cow elephant giraffe horse house man person tower train "
    "tree truck woman zebra"
)  # these are far away if they look small


def area(box: Box) -> float:
    """The fraction of the picture that the box covers."""
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(first: Box, second: Box) -> float:
    """The area that two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)


def same_place(first: Box, second: Box) -> float:
    """Intersection over union (IoU) of two boxes."""
    shared = overlap(first, second)
    return shared / (area(first) + area(second) - shared)


def around(boxes: Sequence[Box]) -> Box:
    """The bounding box of some boxes."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def place(box: Box) -> str:
    """Where a box is: "in the top left", "on the right", "in the middle"; "" if unclear."""
    column = "" if box[2] - box[0] > WIDE else _third(box[0] + box[2], "left", "right")
    row = "" if box[3] - box[1] > WIDE else _third(box[1] + box[3], "top", "bottom")
    if row and column:
        return f"in the {row} {column}"
    if column:
        return f"on the {column}"
    if row:
        return f"at the {row}"
    central = all(abs(box[axis] + box[axis + 2] - 1) < 0.25 for axis in (0, 1))
    return "in the middle" if central and area(box) < LARGE * 1.5 else ""


def depth(noun: str, box: Box, others: Sequence[Box]) -> str:
    """Whether a thing is near: "in the foreground" if it is large; "in the background" if it looks
    small but is a large kind of thing, and does not overlap the larger things in the picture; else
    "".
    """
    if area(box) >= LARGE:
        return "in the foreground"
    near = [other for other in others if area(other) >= 10 * SMALL]
    if area(box) > SMALL or noun.rpartition(" ")[2] not in _TALL or not near:
        return ""
    return "" if any(overlap(box, other) for other in near) else "in the background"


def relations(noun: str, first: Box, other: str, second: Box) -> list[str]:
    """The relations of a thing to another one, as phrases that are all true; possibly empty."""
    found = []
    thing, support = noun.rpartition(" ")[2], other.rpartition(" ")[2]
    inside = overlap(first, second) >= 0.9 * area(first)
    if support in _PREPOSITIONS and inside and area(first) < 0.5 * area(second):
        person_sits = support in _SEATS and thing not in _SEATS
        if person_sits or thing not in _STANDING:
            found.append(_PREPOSITIONS[support])
    wide, high = _gap(first, second, 0), _gap(first, second, 1)
    level = -high >= 0.5 * min(first[3] - first[1], second[3] - second[1])
    stacked = -wide >= 0.5 * min(first[2] - first[0], second[2] - second[0])
    if wide >= -0.02 and level:
        left = first[0] < second[0]
        found.append("to the left of" if left else "to the right of")
        found.append("left of" if left else "right of")
        sizes = sorted((area(first), area(second)))
        if wide < 0.1 and sizes[1] < 4 * sizes[0]:
            found.append("next to")
    if high >= -0.02 and stacked:
        found.append("above" if first[1] < second[1] else "below")
    return found


def _gap(first: Box, second: Box, axis: int) -> float:
    """The distance of two boxes along an axis; negative values are their overlap."""
    return max(first[axis], second[axis]) - min(first[axis + 2], second[axis + 2])


def _third(twice: float, low: str, high: str) -> str:
    """Whether a centre (given doubled) lies clearly in the lower or the upper third."""
    return low if twice < 0.7 else high if twice > 1.3 else ""
