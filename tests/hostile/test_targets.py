"""Mutated files and texts of every kind: each works, or is refused with a sentence, in bounded
time.

`bench/fuzz.py` runs the same targets for longer, led by what they reach.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import targets
from tests.hostile.targets import TARGETS

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
COSTLY = {"tokenizer": 20, "config": 20, "raw": 40}
LONGEST_SEED = 20_000


@cache
def seeds(name: str) -> list[bytes]:
    """What a target begins with; long files would make hypothesis slow."""
    every = TARGETS[name][1]()
    return [seed for seed in every if len(seed) < LONGEST_SEED] or every[:1]


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """A seed with a few parts cut out, doubled, overwritten or put in."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 1, 2, 4, 16, 300]))
        kind = draw(st.sampled_from(["overwrite", "cut", "double", "put", "number"]))
        if kind == "cut":
            del data[start : start + length]
        elif kind == "double":
            data[start:start] = data[start : start + length]
        elif kind == "number":
            size = draw(st.sampled_from([2, 4, 8]))
            value = draw(st.sampled_from([0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1]))
            data[start : start + size] = value.to_bytes(size, draw(st.sampled_from(ENDS)))
        else:
            put = draw(st.binary(max_size=16))
            data[start : start + (len(put) if kind == "overwrite" else 0)] = put
    return bytes(data)


ENDS: list[Any] = ["little", "big"]


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_refused(name: str) -> None:
    target = TARGETS[name][0]

    @settings(QUICK, max_examples=COSTLY.get(name, QUICK.max_examples))
    @given(mutated(name))
    def attempt(data: bytes) -> None:
        target(data)

    attempt()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["../../x", "/", "\ud800", "a\0b", "\x1b[31m", 2**70, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """A JSON text with one or two of its values, at any depth, replaced, taken out or added."""
    value = json.loads(seed)
    for _ in range(draw(st.integers(1, 2))):
        value = _changed(draw, value)
    return json.dumps(value).encode()


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    what = draw(st.integers(0, 4))
    if what == 0:
        del value[key]
    elif what == 1 and isinstance(value, dict):
        value[draw(st.text(max_size=5))] = draw(VALUES)
    else:
        value[key] = _changed(draw, value[key])
    return value


@pytest.mark.parametrize("name", ["collection", "manifest", "registry", "job", "config"])
def test_changed_fields_are_refused_or_harmless(name: str) -> None:
    target, seed = TARGETS[name][0], TARGETS[name][1]()[0]

    @settings(QUICK, max_examples=150 if name != "config" else 20)
    @given(changed(seed))
    def attempt(data: bytes) -> None:
        target(data)

    attempt()


WORDS = st.sampled_from(
    [
        *("dog", "a red car", "left of", "right of", "above", "inside", "next to", "and", "not"),
        *("AND", "NOT", "TINY", "huge", "top left", "at the top", ">=3", "at least 2", "=0", "two"),
        *("(", ")", '"', '"top hat"', ",", "+", "-", "2:red", "9:", "./x.jpg", "/etc/x", "~/a"),
        *("of the picture", "16:9", "“", "TOP", "or", "", "\u202e", "\0", "\ud800", "9" * 30),
    ]
)
WRITTEN = st.lists(WORDS | st.text(max_size=6), max_size=14).map(" ".join)


@settings(QUICK, max_examples=400)
@given(WRITTEN)
def test_queries_made_of_signs_are_read_or_refused(text: str) -> None:
    targets.query(text.encode("utf-8", "surrogatepass"))
    targets.page_query(text.encode("utf-8", "replace"))


TERMS = st.sampled_from(
    [
        *("camera:", "lens:", "in:", "date:", "near:", "within:", "type:", "has:", "width:", "-"),
        *("|", '"', '""', "2021", "..", "-05", "48.1,11.5", ",20km", "1e400", "gps", "jpeg", "="),
        *(" ", "٣", "²", "99999-99-99", "0000", "9" * 12, "-0", "nan"),
    ]
)


@settings(QUICK, max_examples=400)
@given(st.lists(TERMS | st.text(max_size=4), max_size=12).map("".join))
def test_filters_made_of_signs_are_read_or_refused(text: str) -> None:
    targets.filter_text(text.encode("utf-8", "surrogatepass"))
