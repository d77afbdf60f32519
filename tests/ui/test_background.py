"""Work in the background is done in order, and a failure does not end it."""

from __future__ import annotations

import threading

import pytest

from ui.app.background import Background


def test_work_is_done_in_order_and_goes_on_after_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[int] = []
    ended = threading.Event()
    background = Background("test")
    background.submit(lambda: done.append(1))
    background.submit(lambda: done.append(1 // 0))
    background.submit(lambda: done.append(2))
    background.submit(ended.set)
    assert ended.wait(10)
    assert done == [1, 2]
    assert "ZeroDivisionError" in caplog.text
