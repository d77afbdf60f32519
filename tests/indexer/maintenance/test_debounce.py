"""When a touched path is looked at, told by a clock that the test turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.folders.scope import Scope
from indexer.maintenance.debounce import Pending


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_one_run(tmp_path: Path, clock: Clock) -> None:
    pending = Pending(2, 30, clock)
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for path in paths:
        path.write_bytes(b"x")
        pending.add([str(path)])
        assert pending.take() is None
        clock.now += 1
    clock.now += 1
    assert pending.take() == Scope(frozenset(map(str, paths)))
    assert pending.take() is None
    assert len(pending) == 0


def test_a_file_that_grows_is_waited_for_although_nothing_is_heard_of_it(
    tmp_path: Path, clock: Clock
) -> None:
    pending = Pending(2, 30, clock)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    pending.add([str(path)])
    for size in range(2, 6):
        clock.now += 1.5
        path.write_bytes(b"x" * size)
        assert pending.take() is None
    clock.now += 2
    assert pending.take() == Scope(frozenset([str(path)]))


def test_a_long_copy_keeps_the_others_waiting_for_a_while_only(
    tmp_path: Path, clock: Clock
) -> None:
    pending = Pending(2, 30, clock)
    long, short = str(tmp_path / "long.jpg"), str(tmp_path / "short.jpg")
    Path(short).write_bytes(b"x")
    pending.add([short, long])
    taken = None
    while taken is None:
        pending.add([long])
        clock.now += 1
        taken = pending.take()
    assert taken == Scope(frozenset([short]), frozenset([long]))
    assert clock.now == 30
    clock.now += 2
    assert pending.take() == Scope(frozenset([long]))


def test_before_a_full_run_only_what_is_being_written_goes_on_waiting(
    tmp_path: Path, clock: Clock
) -> None:
    pending = Pending(2, 30, clock)
    done, growing = tmp_path / "done.jpg", tmp_path / "growing.jpg"
    done.write_bytes(b"x")
    pending.add([str(done), str(tmp_path / "gone.jpg")])
    clock.now += 2
    growing.write_bytes(b"x")
    pending.add([str(growing), str(tmp_path)])
    assert pending.clear() == frozenset([str(growing)])
    clock.now += 2
    assert pending.take() == Scope(frozenset([str(growing)]))
