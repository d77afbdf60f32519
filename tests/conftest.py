"""What holds for all tests: they write nothing into the user's own folders, and their files lie in
memory where that is possible, since most of the time of a suite on a disk is waiting for syncs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes that must be free there; a container often has 64 MiB
PREFIX = "pytest-kept-"  # the process follows
DISK = Path("/var/tmp")  # a disk also where /tmp is memory


def in_memory() -> Path | None:
    """A new folder in memory; None where there is none with room. Removes what killed runs left."""
    if not os.access(MEMORY, os.W_OK):
        return None
    for left in MEMORY.glob(f"{PREFIX}*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    if shutil.disk_usage(MEMORY).free < ROOM:
        return None
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the tests' files into memory, unless --basetemp says where. The workers of xdist get a
    folder in that of the process that started them.
    """
    if config.option.basetemp is None and (folder := in_memory()) is not None:
        config.option.basetemp = str(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own; on a disk for a test marked `durability`."""
    if request.node.get_closest_marker("durability") is None:
        yield tmp_path
        return
    disk = DISK if os.access(DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=disk) as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A data folder of the tests' own: the list of collections and the jobs lie there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield
