"""Captions of scenes: a noisy one like those of web pages, and exact ones with positions.

All are functions of the scene's facts and a generator, so they are reproducible from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tips_model.train.scenes.concepts import CONCEPTS, PLURAL, article

_SYNONYMS = {c.name: c.synonyms for c in CONCEPTS}

JUNK: tuple[str, ...] = (
    "img {n}", "dsc {n}", "free shipping", "buy now", "hd wallpaper", "stock image", "page {d}",
    "click here", "new", "best price", "vector clipart", "photo {n}", "download", "lot of {d}",
    "sale", "my holiday", "untitled", "copyright", "follow us", "high quality", "item {n}",
)  # fmt: skip
"""Junk as in web captions; {n} is a four-digit number and {d} a digit."""

WEB_TEMPLATES: tuple[str, ...] = (
    "a photo of {}", "a picture of {}", "an image of {}", "itap of {}", "a drawing of {}",
    "a large photo of {}", "a small photo of {}", "a photo of many {}", "art of {}",
)  # fmt: skip
"""Templates of web captions; {} is one or two noun phrases."""

_ROWS = ("top", "", "bottom")
_COLUMNS = ("left", "", "right")


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """One object: concept name, colour word or "", centre (x, y) in [0, 1] of the picture."""

    name: str
    colour: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """A scene's objects, bottom to top, and words for its background ("" for none)."""

    objects: Sequence[ObjectFacts]
    background: str


def position(x: float, y: float) -> str:
    """The position on a 3 x 3 grid in words: "top left", "left", "centre", ..."""
    words = (_ROWS[min(int(y * 3), 2)], _COLUMNS[min(int(x * 3), 2)])
    return " ".join(word for word in words if word) or "centre"


def relation(first: ObjectFacts, second: ObjectFacts) -> str:
    """The relation of the first object to the second, along the axis on which they differ more."""
    dx, dy = first.x - second.x, first.y - second.y
    if abs(dx) >= abs(dy):
        return "to the left of" if dx < 0 else "to the right of"
    return "above" if dy < 0 else "below"


def phrase(item: ObjectFacts, with_colour: bool) -> str:
    """The noun phrase with its article: "a red apple"."""
    if not (with_colour and item.colour):
        return article(item.name)
    words = f"{item.colour} {item.name}"
    return words if item.name in PLURAL else article(words)


def web_caption(scene: SceneFacts, rng: Random, junk: float) -> str:
    """One or two of the objects in few words, sometimes with a synonym, sometimes with junk."""
    clutter = rng.choice(JUNK).format(n=rng.randrange(1000, 10000), d=rng.randrange(2, 10))
    dirty = rng.random() < junk
    if dirty and rng.random() < 0.125:
        return clutter
    count = min(len(scene.objects), 1 if rng.random() < 0.6 else 2)
    words = []
    for item in rng.sample(list(scene.objects), count):
        name = item.name
        if _SYNONYMS[name] and rng.random() < 0.1:
            name = rng.choice(_SYNONYMS[name])
        elif item.colour and rng.random() < 0.2:
            name = f"{item.colour} {name}"
        words.append(name if name in PLURAL or rng.random() < 0.4 else article(name))
    text = " and ".join(words)
    if rng.random() < 0.4:
        text = rng.choice(WEB_TEMPLATES).format(text)
    if not dirty:
        return text
    return f"{clutter} {text}" if rng.random() < 0.5 else f"{text} {clutter}"


def _listing(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def full_caption(scene: SceneFacts, rng: Random) -> str:
    """All objects with colour (80 %), each with its position or its relation to an earlier one."""
    parts: list[str] = []
    order = rng.sample(list(scene.objects), len(scene.objects))
    for index, item in enumerate(order):
        words = phrase(item, rng.random() < 0.8)
        if index and rng.random() < 0.4:
            other = order[rng.randrange(index)]
            parts.append(f"{words} {relation(item, other)} the {other.name}")
        else:
            parts.append(f"{words} {_at(item)}")
    return ", ".join(parts) + _ground(scene)


def _at(item: ObjectFacts) -> str:
    place = position(item.x, item.y)
    preposition = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(place, "in")
    return f"{preposition} the {place}"


def _ground(scene: SceneFacts) -> str:
    if not scene.background:
        return ""
    plural = scene.background.endswith(("stripes", "checks", "spots"))
    return " on " + (scene.background if plural else article(scene.background))


def list_caption(scene: SceneFacts, rng: Random) -> str:
    """All objects by name, most with their colour, without positions."""
    items = rng.sample(list(scene.objects), len(scene.objects))
    return _listing([phrase(item, rng.random() < 0.6) for item in items])


def relation_caption(scene: SceneFacts, rng: Random) -> str:
    """Two objects and their relation; for a single one, its position."""
    if len(scene.objects) == 1:
        item = scene.objects[0]
        return f"{phrase(item, True)} {_at(item)}{_ground(scene)}"
    first, second = rng.sample(list(scene.objects), 2)
    return f"{phrase(first, True)} {relation(first, second)} {phrase(second, True)}"


def synthetic_captions(scene: SceneFacts, rng: Random) -> list[str]:
    """Captions of three granularities: everything with positions, a list, one relation."""
    return [full_caption(scene, rng), list_caption(scene, rng), relation_caption(scene, rng)]


def name_captions(scene: SceneFacts) -> tuple[str, list[str]]:
    """For single objects: the bare name, and the name with colour and background."""
    item = scene.objects[0]
    return article(item.name), [f"{phrase(item, True)}{_ground(scene)}"]
