"""Cut-outs painted by the tests: plain shapes in place of drawings, so that nothing is fetched."""

import numpy as np

from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.render import Bank

SIDE = 32
COLOURS = [(215, 40, 45), (75, 165, 70), (55, 125, 220), (250, 215, 60), (245, 150, 185)]


def square(colour: tuple[int, int, int]) -> np.ndarray:
    """A cut-out (SIDE, SIDE, 4) filled with one colour."""
    return np.broadcast_to(np.array([*colour, 255], np.uint8), (SIDE, SIDE, 4)).copy()


def bank(concepts: int = 8, drawings: int = 2) -> Bank:
    """Squares, one colour for each concept in turn, `drawings` of each in sets 0, 1, ..."""
    concept = np.repeat(np.arange(concepts), drawings)
    pixels = np.stack([square(COLOURS[c % len(COLOURS)]) for c in concept])
    return Bank(
        pixels,
        concept.astype(np.int16),
        np.tile(np.arange(drawings), concepts).astype(np.int16),
        np.array([CONCEPTS[c].slugs[0] for c in concept]),
    )
