"""Template captions from labels and boxes: what is in a picture, how many, where, and how related.

Each caption states only what names, boxes and their scores support. A picture's captions are a
function of its objects and labels, its key and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import lance
import pyarrow as pa

from tips_model.train.dataset import TABLE, check_table
from tips_model.train.grammar import (
    indefinite,
    is_plural,
    listing,
    several,
    spoken,
    uncounted,
    words,
)
from tips_model.train.positions import (
    Box,
    area,
    around,
    depth,
    place,
    relations,
    same_place,
)
from tips_model.train.source import DataError

OBJECTS_FROM = 0.45
LABELS_FROM = 0.3
_SURE = 0.6  # labels with at least this score are stated without "probably"
_TWICE = 0.6  # boxes with a larger IoU show the same thing
_CLOSE = 0.5  # a thing that covers this fraction of the picture is a close-up
_MOST = 4  # most nouns in a list
_ROWS = 1024  # rows read at once
_ROUNDS = 3  # of all templates, until there are enough captions
_FORMAL = words(
    "a an and along are be can image in is it may of perhaps photo photograph picture probably "
    "seen the there what with"
)  # captions that differ only in these words are equal
_NO_COMMAS = str.maketrans("", "", ",;:")
_FRAMES = ("a photo of {}", "a picture of {}", "a photograph of {}", "an image of {}")
_INSIDE = (
    "bakery barbershop bathroom bedroom bookshop cinema classroom corridor forest garden gym "
    "kitchen library museum office park restaurant supermarket"
)
_PLACES = {noun: f"in a {noun}" for noun in _INSIDE.split()} | {
    "beach": "on a beach",
    "grocery store": "in a grocery store",
    "lakeside": "at the lakeside",
    "living room": "in a living room",
    "seashore": "at the seashore",
    "street": "in a street",
}
"""Labels that are places, in which a picture's things are located."""
_PEOPLE = words("ballplayer boy bride child girl groom man person woman") | {"scuba diver"}
"""Nouns that may appear beside a label of another kind; a dog beside a terrier may be
the terrier.
"""


@dataclass(frozen=True, slots=True)
class _Group:
    """All things of one noun in a picture, the largest first."""

    noun: str
    boxes: tuple[Box, ...]

    @property
    def words(self) -> str:
        return several(self.noun, len(self.boxes))

    @property
    def verb(self) -> str:
        plural = len(self.boxes) > 1 and not uncounted(self.noun)
        return "are" if plural or is_plural(self.noun) else "is"

    @property
    def where(self) -> str:
        return place(around(self.boxes))


@dataclass(frozen=True, slots=True)
class _Facts:
    """The facts about a picture: things, largest first, and nouns of the whole picture."""

    groups: tuple[_Group, ...]
    labels: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class Described:
    """What `describe_table` did: captions added, rows that got some, and rows without any."""

    captions: int = 0
    rows: int = 0
    without: int = 0


def describe_table(
    folder: Path,
    *,
    count: int = 4,
    seed: int = 0,
    replace: bool = False,
    objects_from: float = OBJECTS_FROM,
    labels_from: float = LABELS_FROM,
    progress: Callable[[int], None] | None = None,
) -> Described:
    """Add at most `count` captions to each row's synthetic ones, or replace them.

    Captions that a row already has are not added again. All rows change in one commit; pictures are
    neither read nor written. `progress` is called with the number of rows so far. Raises
    `DataError` for a table without objects and labels.
    """
    check_table(folder)
    table = lance.dataset(str(folder / f"{TABLE}.lance"))
    schema = pa.schema([pa.field("_rowid", pa.uint64()), table.schema.field("synthetic")])
    wanted = {"key", "web", "synthetic", "objects", "labels"} & set(table.schema.names)
    report, named = Described(), False
    updates, fields = [], list[int]()
    done = 0
    for fragment in table.get_fragments():
        parts = []
        scan = fragment.scanner(columns=sorted(wanted), with_row_id=True, batch_size=_ROWS)
        for batch in scan.to_batches():
            texts = []
            for row in batch.to_pylist():
                objects, labels = row.get("objects") or [], row.get("labels") or []
                named = named or bool(objects or labels)
                made = captions(
                    objects, labels, Random(f"{seed}/{row['key']}"), count,
                    objects_from=objects_from, labels_from=labels_from,
                )  # fmt: skip
                old = [] if replace else row["synthetic"]
                texts.append(list(dict.fromkeys([*old, *made])))
                added = len(texts[-1]) - len(old)
                report.captions += added
                report.rows += added > 0
                report.without += not (texts[-1] or row["web"])
            parts.append(
                pa.record_batch(
                    [batch["_rowid"], pa.array(texts, schema.field(1).type)], schema=schema
                )
            )
            done += batch.num_rows
            if progress is not None:
                progress(done)
        updated, fields = fragment.update_columns(pa.Table.from_batches(parts, schema))
        updates.append(updated)
    if not named:
        raise DataError(
            f"The table in {folder} has neither objects nor labels to describe; import some with "
            "`tips data`."
        )
    change = lance.LanceOperation.Update(updated_fragments=updates, fields_modified=fields)
    lance.LanceDataset.commit(table.uri, change, read_version=table.version)
    return report


def captions(
    objects: Sequence[dict[str, Any]],
    labels: Sequence[dict[str, Any]],
    rng: Random,
    count: int,
    *,
    objects_from: float = OBJECTS_FROM,
    labels_from: float = LABELS_FROM,
) -> list[str]:
    """At most `count` captions that differ in content and form.

    objects and labels as in a training table; those with a score below `objects_from` and
    `labels_from` are ignored, those without a score are certain.
    """
    told = [(spoken(label["name"]), _score(label)) for label in labels]
    facts = _Facts(
        _groups([thing for thing in objects if _score(thing) >= objects_from]),
        tuple((noun, score) for noun, score in told if noun and score >= labels_from),
    )
    makers = [_what, _there, _where, _relation, _depth, _label, _label_and_things]
    texts: dict[frozenset[str], str] = {}
    for _ in range(_ROUNDS):
        rng.shuffle(makers)
        for maker in makers:
            if len(texts) < count and (text := maker(facts, rng)):
                texts.setdefault(words(text.translate(_NO_COMMAS)) - _FORMAL, text)
    return list(texts.values())


def _score(entry: dict[str, Any]) -> float:
    score = entry.get("score")
    return 1.0 if score is None else float(score)


def _groups(objects: Sequence[dict[str, Any]]) -> tuple[_Group, ...]:
    """Things by noun, largest first; two overlapping machine-made boxes count as one thing, with
    the higher-scored name.
    """
    kept: list[tuple[str, Box, bool]] = []
    for thing in sorted(objects, key=_score, reverse=True):
        noun, guessed = spoken(thing["name"]), thing.get("score") is not None
        x0, y0, x1, y1 = thing["box"]
        box = (x0, y0, x1, y1)
        if not noun or area(box) <= 0:
            continue
        if not (guessed and any(g and same_place(box, b) > _TWICE for _, b, g in kept)):
            kept.append((noun, box, guessed))
    found: dict[str, list[Box]] = {}
    for noun, box, _ in sorted(kept, key=lambda entry: -area(entry[1])):
        found.setdefault(noun, []).append(box)
    return tuple(_Group(noun, tuple(boxes)) for noun, boxes in found.items())


def _framed(text: str, rng: Random, often: float) -> str:
    return rng.choice(_FRAMES).format(text) if rng.random() < often else text


def _some(groups: Sequence[_Group], rng: Random) -> list[_Group]:
    """The largest groups in random order."""
    return rng.sample(groups[:_MOST], min(len(groups), _MOST))


def _what(facts: _Facts, rng: Random) -> str:
    """What is in the picture: "a photo of two dogs and a person"."""
    if not facts.groups:
        return ""
    parts = [group.words for group in _some(facts.groups, rng)]
    if len(parts) > 1 and rng.random() < 0.25:
        return f"{parts[0]} along with {listing(parts[1:])}"
    return _framed(listing(parts), rng, 0.5)


def _there(facts: _Facts, rng: Random) -> str:
    """One noun, how many of it and where: "there are two dogs on the left"."""
    if not facts.groups:
        return ""
    group = rng.choice(facts.groups[:_MOST])
    where = f" {group.where}" if group.where else ""
    forms = [f"there {group.verb} {group.words}{where}"]
    if where:
        forms.append(f"{group.where}, {group.words}")
    else:
        forms.append(f"{group.words} can be seen")
    return rng.choice(forms)


def _where(facts: _Facts, rng: Random) -> str:
    """Things with their positions: "a dog on the left and a car in the top right"."""
    parts = [f"{g.words} {g.where}" for g in _some(facts.groups, rng) if g.where]
    return _framed(listing(parts[:3]), rng, 0.2) if parts else ""


def _relation(facts: _Facts, rng: Random) -> str:
    """Two things and their relation: "a dog to the left of a person"."""
    items = [
        (group, told, box)
        for group in facts.groups[:_MOST]
        for told, box in [(group.words, around(group.boxes))]
        + [(indefinite(group.noun), box) for box in group.boxes[:_MOST] if len(group.boxes) > 1]
    ]
    found = [
        [f"{told} {relation} {others}" for relation in relations(a.noun, box, b.noun, other)]
        for (a, told, box), (b, others, other) in permutations(items, 2)
        if a is not b
    ]
    for group in facts.groups:
        if len(group.boxes) == 2 and "next to" in relations(
            group.noun, group.boxes[0], group.noun, group.boxes[1]
        ):
            found.append([f"{group.words} {way}" for way in ("next to each other", "side by side")])
    found = [forms for forms in found if forms]
    return rng.choice(rng.choice(found)) if found else ""


def _depth(facts: _Facts, rng: Random) -> str:
    """Near and far things: "a person in the foreground and a bus in the background"."""
    every = [box for group in facts.groups for box in group.boxes]
    single = [group for group in facts.groups if len(group.boxes) == 1]
    if len(every) == 1 and area(every[0]) >= _CLOSE and rng.random() < 0.5:
        return rng.choice(("a close view of {}", "{} up close", "{}, seen from near")).format(
            single[0].words
        )
    parts = []
    for where in ("in the foreground", "in the background"):
        there = [g for g in single if depth(g.noun, g.boxes[0], every) == where]
        if there:
            parts.append(f"{rng.choice(there).words} {where}")
    return listing(parts) if parts else ""


def _label(facts: _Facts, rng: Random) -> str:
    """A label of the whole picture, drawn by its score: "probably a monastery"."""
    if not facts.labels:
        return ""
    noun, score = _drawn(facts, rng)
    named = indefinite(noun)
    if score >= _SURE:
        return _framed(named, rng, 0.8)
    return rng.choice(
        ("probably {}", "a photo, probably of {}", "a picture of what may be {}", "perhaps {}")
    ).format(named)


def _label_and_things(facts: _Facts, rng: Random) -> str:
    """A label of the whole picture with the things in it: "two people in a restaurant"."""
    if not facts.labels or not facts.groups:
        return ""
    noun, score = _drawn(facts, rng)
    groups = [group for group in _some(facts.groups, rng) if group.noun != noun][:2]
    if not groups:
        return ""
    probably = "" if score >= _SURE else "probably "
    if noun in _PLACES:
        comma = ", " if probably else " "
        return f"{listing([g.words for g in groups])}{comma}{probably}{_PLACES[noun]}"
    things = listing([f"{g.words} {g.where}".rstrip() for g in groups])
    if all(g.noun in _PEOPLE for g in groups) and noun not in _PEOPLE:
        return listing([*(g.words for g in groups), f"{probably}{indefinite(noun)}"])
    if not probably:
        return f"{_framed(indefinite(noun), rng, 0.5)}: {things}"
    return rng.choice(("probably {0}: {1}", "{1}; probably {0}")).format(indefinite(noun), things)


def _drawn(facts: _Facts, rng: Random) -> tuple[str, float]:
    return rng.choices(facts.labels, weights=[score for _, score in facts.labels])[0]
