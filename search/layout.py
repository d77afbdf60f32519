"""Build a scene from a layout: things in boxes that a user has drawn.

[("tree", (0, 0, 0.4, 1)), ("dog", (0.5, 0.6, 0.9, 1))]
"""

from __future__ import annotations

from collections.abc import Sequence

from search.errors import QueryError
from search.query import Box, PlacedThing, Query
from search.scenes.language import parse
from search.scenes.scene import And, Chain, Scene, Thing

Placed = tuple[Query | str, Box]


def layout_scene(placed: Sequence[Placed | PlacedThing]) -> Scene:
    """The scene of all things, each in its box (fractions of the upright picture).

    Each text is parsed as a plain query, including weights, signs and picture files. Raises
    `QueryError` for no things, an empty text or a box outside the picture.
    """
    things = [_thing(entry) for entry in placed_things(placed)]
    written = ", ".join(
        f"{thing.name} at {','.join(f'{edge:g}' for edge in thing.box or ())}" for thing in things
    )
    return Scene(And(tuple(Chain((thing,)) for thing in things)), written)


def placed_things(placed: Sequence[Placed | PlacedThing]) -> tuple[PlacedThing, ...]:
    """The things from pairs of a text and four numbers. Raises `QueryError` for any other form."""
    if not placed:
        raise QueryError("The layout is empty: give at least one thing and its box.")
    return tuple(
        entry if isinstance(entry, PlacedThing) else PlacedThing(*_pair(entry)) for entry in placed
    )


def _pair(entry: Placed) -> Placed:
    try:
        query, box = entry
        x0, y0, x1, y1 = (float(edge) for edge in box)
    except (TypeError, ValueError):
        raise QueryError(
            f"{entry!r} is not a thing and its box, as in ('tree', (0, 0, 0.4, 1))."
        ) from None
    return query, (x0, y0, x1, y1)


def _thing(placed: PlacedThing) -> Thing:
    read = parse(placed.text) if isinstance(placed.text, str) else placed.text
    if isinstance(read, Scene):
        raise QueryError(f"'{read}' is more than one thing; give each thing a box of its own.")
    return Thing(read, str(read), box=placed.box)
