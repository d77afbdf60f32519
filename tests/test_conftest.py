"""Where the tests' own files lie."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.conftest import DISK, MEMORY, PREFIX, in_memory

FAILING = """
import pytest

def test_in_memory(tmp_path):
    (tmp_path / "file").write_text("x")
    raise AssertionError(tmp_path)

@pytest.mark.durability
def test_on_a_disk(tmp_path):
    raise AssertionError(tmp_path)
"""


@pytest.fixture
def memory() -> None:
    """Skip where the tests' files are on a disk."""
    folder = in_memory()
    if folder is None:
        pytest.skip("NOT CHECKED: there is no room in memory; the tests' files are on a disk")
    folder.rmdir()


@pytest.mark.usefixtures("memory")
def test_folders_go_also_when_tests_fail_and_a_disk_is_there_for_durability(
    tmp_path: Path,
) -> None:
    shutil.copy(conftest.__file__, tmp_path / "conftest.py")
    (tmp_path / "test_failing.py").write_text(FAILING)
    line = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", "."]
    run = subprocess.run([sys.executable, *line], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout
    said = re.findall(r"^E +AssertionError: (.+)$", run.stdout, re.MULTILINE)
    in_tests, on_disk = map(Path, said)
    assert in_tests.is_relative_to(MEMORY)
    assert on_disk.is_relative_to(DISK)
    assert not any(made.exists() for made in (in_tests, on_disk))


@pytest.mark.usefixtures("memory")
def test_what_a_killed_run_left_is_swept() -> None:
    left = MEMORY / f"{PREFIX}{2**22 + 1}-x"  # no process has this number
    (left / "deep").mkdir(parents=True)
    folder = in_memory()
    assert folder is not None
    folder.rmdir()
    assert not left.exists()
