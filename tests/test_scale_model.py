"""The model of large collections, held against those that were measured, and against itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.scale_model import (
    MEASURED,
    TOLERANCES,
    Comparison,
    Setup,
    breaks,
    check,
    fits,
    nodes,
    outages,
    plan,
)
from bench.scale_tail import Shard, fan_out

SCALE = Path(__file__).parents[1] / "docs" / "scale"
ROWS = check(json.loads((SCALE / "scale.json").read_text()))
SHARD = Shard(spread=1.23, slow_share=0.002, slow_factor=10.0, hedge=2.0)


def test_all_three_measured_collections_are_compared() -> None:
    assert {row.photos for row in ROWS} == {10_000, 100_000, 1_000_000}
    assert len(ROWS) == 3 * len(TOLERANCES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.what} of {row.photos}")
def test_the_model_is_right_within_its_tolerance(row: Comparison) -> None:
    assert abs(row.off) <= row.within


def test_the_collection_that_outgrew_the_machine_is_told() -> None:
    """A million photos, 18.9 GB of vectors on 24 GB, had searches of photos waiting for pages."""
    measured = json.loads((SCALE / "scale.json").read_text())
    waits = {
        one["images"]: one["searches"]["images"]["all"]["after encoding"]["p95"] > 1000
        for one in measured
    }
    assert waits == {10_000: False, 100_000: False, 1_000_000: True}
    found = {row["what"]: row["photos"] for row in breaks(MEASURED)}
    edge = found["vector files outgrow the page cache"]
    assert fits(100_000, MEASURED)
    assert edge == pytest.approx(1_000_000, rel=0.15)


def test_what_is_published_is_what_the_model_says_now() -> None:
    """docs/scale/model.json is from this code; after a change, run the bench again."""
    written = json.loads((SCALE / "model.json").read_text())
    for old in written["plans"]:
        new = json.loads(json.dumps(plan(old["photos"], Setup())))
        assert new.keys() == old.keys()
        for name in ("vectors_bytes", "catalog_bytes", "memory_bytes"):
            assert new[name] == pytest.approx(old[name])
        for way in ("flat", "graph"):
            assert new[way]["limits"] == old[way]["limits"]
            assert new[way]["machines"] == old[way]["machines"]
            assert new[way]["search_ms"] == pytest.approx(old[way]["search_ms"])


def test_one_shard_is_as_fast_as_one_shard() -> None:
    tail = fan_out(replace(SHARD, slow_share=0.0), 1, replicas=1, searches=200_000)
    assert tail.p50 == pytest.approx(1, rel=0.01)
    assert tail.p95 == pytest.approx(1.23, rel=0.01)


def test_a_rare_slow_answer_is_common_among_many_shards() -> None:
    """Of 256 shards that are slow twice in a thousand, one is in 1 - 0.998 ** 256 = 40 % of all
    searches; a second replica asked after two medians brings all of these back."""
    one = fan_out(SHARD, 1, replicas=1, searches=20_000)
    many = fan_out(SHARD, 256, replicas=1, searches=20_000)
    hedged = fan_out(SHARD, 256, replicas=2, searches=20_000)
    assert one.p99 < 2
    assert many.p95 > 9
    assert hedged.p95 < 2 + 1.8
    assert hedged.p50 == pytest.approx(many.p50, rel=0.01)


def test_more_photos_never_need_fewer_machines() -> None:
    for graph in (False, True):
        counts = [max(nodes(10**k, Setup(), graph=graph).values()) for k in range(4, 10)]
        assert counts == sorted(counts)
        assert counts[0] == 1


def test_replicas_make_outages_rare() -> None:
    years = [outages(64, 10**9, replace(Setup(), replicas=count)) for count in (1, 2, 3)]
    assert years[0] == pytest.approx(64 * 2)  # every machine, twice a year
    assert years[1] < years[0] / 1000
    assert years[2] < years[1] / 100
