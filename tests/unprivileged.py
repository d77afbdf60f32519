"""Folders that may only be read, and processes that have to mind it, also when root runs the tests.

with read_only_copy(folder) as copy:
    result = run_unprivileged("from ui.cli import main; main()", "status", "-c", copy)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Root passes over permissions; without these capabilities it does not.
MINDFUL = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@contextmanager
def read_only_copy(folder: Path) -> Iterator[Path]:
    """A copy that may be read and not written."""
    with tempfile.TemporaryDirectory() as outer:
        copy = Path(outer, folder.name)
        shutil.copytree(folder, copy)
        paths = [copy, *copy.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield copy
        finally:
            for path in filter(Path.exists, paths):
                path.chmod(0o755)


def run_unprivileged(
    code: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code with arguments, as somebody whom permissions bind."""
    if MINDFUL and shutil.which(MINDFUL[0]) is None:
        pytest.skip("root passes over permissions, and there is no setpriv to prevent it")
    return subprocess.run(
        [*MINDFUL, sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
