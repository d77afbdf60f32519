"""Pointing at boxes: does a point lie on an object with the given name?

A question is a picture and a name in it. Any of the name's boxes there answers it, so a crowd is
one question. Letters: Q questions, P boxes, N pictures, C names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tips_model.eval.coco import CocoSet, fractions

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHARES: tuple[tuple[str, float, float], ...] = (
    ("all", 0.0, 1.01),
    ("< 10 %", 0.0, 0.1),
    ("10-40 %", 0.1, 0.4),
    ("> 40 %", 0.4, 1.01),
)
"""Label, lower and upper bound of the fraction of the picture that a name covers."""


@dataclass(frozen=True, slots=True)
class BoxQuestions:
    """`image` and `name` (Q,) define the questions, `area` (Q,) is the fraction of the picture that
    the name's boxes cover together: chance. `box` (P, 4) are x0, y0, x1, y1 as fractions,
    `question` (P,) is the question of each box.
    """

    image: Ints
    name: Ints
    area: Floats
    box: Floats
    question: Ints

    def hits(self, points: Floats) -> Bools:
        """Whether each question's point (Q, 2), x and y as fractions, lies in one of its boxes;
        (nan, nan) never does.
        """
        at = points[self.question]
        inside = ((self.box[:, :2] <= at) & (at <= self.box[:, 2:])).all(axis=1)
        return np.bincount(self.question[inside], minlength=len(self.image)) > 0

    def figures(self, points: Floats) -> dict[str, dict[str, float]]:
        """Means over the questions in each of `SHARES`, and "by name": over names, each with the
        mean of its questions.

        "hit": the points (Q, 2) lie in one of their boxes; "middle": the picture's centre does,
        where photographers put things; "chance": a random point does; "count": of questions, or
        names.
        """
        rows = {
            "hit": self.hits(points),
            "middle": self.hits(np.full_like(points, 0.5)),
            "chance": self.area,
        }
        found: dict[str, dict[str, float]] = {}
        for share, low, high in SHARES:
            within = (self.area >= low) & (self.area < high)
            if within.any():
                means = {key: float(values[within].mean()) for key, values in rows.items()}
                found[share] = means | {"count": float(within.sum())}
        _, name, counts = np.unique(self.name, return_inverse=True, return_counts=True)
        means = {
            key: float((np.bincount(name, values) / counts).mean()) for key, values in rows.items()
        }
        found["by name"] = means | {"count": float(len(counts))}
        return found


def box_questions(data: CocoSet) -> BoxQuestions:
    """One question for every name in every picture of a set that has named objects."""
    rows = [
        (number, thing.category, *fractions(entry, thing))
        for number, entry in enumerate(data.images)
        for thing in entry.objects
    ]
    table = np.array(rows, np.float64).reshape(-1, 6)
    box = table[:, 2:].clip(0, 1)
    asked, question = np.unique(table[:, :2].astype(np.int64), axis=0, return_inverse=True)
    question = question.reshape(-1)
    area = [covered(box[question == number]) for number in range(len(asked))]
    return BoxQuestions(asked[:, 0], asked[:, 1], np.array(area), box, question)


def covered(boxes: Floats) -> float:
    """The area of the union of boxes (P, 4)."""
    x, y = np.unique(boxes[:, [0, 2]]), np.unique(boxes[:, [1, 3]])
    across = (boxes[:, [0]] <= x[:-1]) & (x[1:] <= boxes[:, [2]])
    down = (boxes[:, [1]] <= y[:-1]) & (y[1:] <= boxes[:, [3]])
    inside = (down[:, :, None] & across[:, None]).any(axis=0)
    return float(np.diff(y) @ inside @ np.diff(x))
