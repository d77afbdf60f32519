"""Rates and the time left."""

import pytest

from indexer.progress import IndexReport, Meter, Progress


def test_rate_and_eta_come_from_the_last_half_minute() -> None:
    seen: list[Progress] = []
    now = 0.0
    meter = Meter(seen.append, "index", 1000, clock=lambda: now)
    assert seen == [Progress("index", 0, 1000)]
    for _ in range(10):  # 10 a second
        now += 1
        meter.add(10)
    assert seen[-1].rate == pytest.approx(10)
    assert seen[-1].eta == pytest.approx(90)
    for _ in range(40):  # then 2 a second
        now += 1
        meter.add(2, failed=1)
    assert seen[-1].rate == pytest.approx(2, rel=0.1)
    assert (seen[-1].done, seen[-1].failed) == (180, 40)


def test_an_unknown_total_has_no_eta() -> None:
    seen: list[Progress] = []
    Meter(seen.append, "publish").add(3)
    assert seen[-1].eta is None


def test_a_report_is_plain_values() -> None:
    report = IndexReport(new=1, problems=(("/a", "why"),)).to_dict()
    assert report["new"] == 1
    assert report["problems"] == (("/a", "why"),)
