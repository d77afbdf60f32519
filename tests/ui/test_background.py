"""Work in the background is done in order, and a failure does not end it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from ui.background import Background


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
    background.end()
    background.submit(lambda: done.append(3))
    assert done == [1, 2]
    assert "ZeroDivisionError" in caplog.text


def test_the_process_ends_in_the_middle_of_native_work() -> None:
    code = (
        "import time, torch\n"
        "from ui.background import Background\n"
        "work = lambda: [torch.randn(256, 256).svd() for _ in range(50)]\n"
        "background = Background('test', newest_first=True)\n"
        "for _ in range(100): background.submit(work)\n"
        "time.sleep(0.3)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
