"""A catalog whose disk fails: what was committed before stands, and what was cut off is undone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.catalog.files import table_files, torn
from indexer.catalog.table import Catalog
from indexer.errors import CatalogDamagedError, DiskError
from indexer.folders.snapshot import read_snapshot, write_snapshot
from tests.indexer.catalog.catalog_cases import photo, table
from tests.indexer.vector_cases import DIM, HEADS, image_id

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.durability
# Writes under a limit of bytes a file, as on a disk that has no room for more.
LIMITED = """
import resource, sys
from pathlib import Path
from indexer.catalog.table import Catalog
from indexer.errors import DiskError
from tests.indexer.catalog.catalog_cases import photo, table
from tests.indexer.vector_cases import DIM, HEADS
catalog = Catalog(Path(sys.argv[1]), HEADS, DIM)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    catalog.optimize() if sys.argv[2] == "optimize" else catalog.commit(
        table([photo(n) for n in range(2, 12)])
    )
except DiskError as error:
    print(type(error).__name__, error)
"""


def data_files(folder: Path) -> list[Path]:
    """The data files of the table, oldest first."""
    files = (folder / "photos.lance" / "data").iterdir()
    return sorted(files, key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Two photos, of one commit each."""
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    for number in range(2):
        catalog.commit(table([photo(number)]))
    return catalog


@pytest.mark.parametrize("action", ["commit", "optimize"])
def test_a_write_that_was_cut_off_is_undone(catalog: Catalog, action: str, tmp_path: Path) -> None:
    # What the engine does not notice: the very last write of a data file.
    whole = Catalog(tmp_path / "whole", HEADS, DIM)
    if action == "commit":
        whole.commit(table([photo(n) for n in range(2, 12)]))
    else:
        shutil.rmtree(tmp_path / "whole")
        shutil.copytree(catalog.folder, tmp_path / "whole")
        Catalog(tmp_path / "whole", HEADS, DIM).optimize()
    size = max(path.stat().st_size for path in data_files(tmp_path / "whole"))
    before = set(data_files(catalog.folder))
    line = [sys.executable, "-c", LIMITED, str(catalog.folder), action, str(size - 10)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("Disk"), done.stderr
    assert set(catalog.ids()) == {image_id(0), image_id(1)}
    assert sum(len(batch) for batch in catalog.changed_since(0)) == 2
    assert not torn(before)
    catalog.commit(table([photo(n) for n in range(2, 12)]))
    catalog.optimize()
    assert len(catalog.ids()) == 12


def test_a_damaged_catalog_says_the_way_back_and_goes_it(catalog: Catalog) -> None:
    whole = catalog.revision
    catalog.commit(table([photo(2)]))
    write_snapshot(catalog.folder, catalog.files())
    os.truncate(data_files(catalog.folder)[-1], 100)
    catalog = Catalog(catalog.folder, HEADS, DIM)  # the engine remembers what it has read
    with pytest.raises(CatalogDamagedError, match="tips verify --repair"):
        catalog.files()
    with pytest.raises(CatalogDamagedError, match="tips verify --repair"):
        list(catalog.changed_since(0))
    revision = catalog.revision
    assert catalog.recover() == whole
    assert catalog.revision > revision
    assert set(catalog.ids()) == {image_id(0), image_id(1)}
    assert read_snapshot(catalog.folder) is None
    assert catalog.recover() is None


def test_a_catalog_without_a_whole_state_says_so(catalog: Catalog) -> None:
    for path in data_files(catalog.folder):
        path.unlink()
    for path in (catalog.folder / "photos.lance" / "_versions").iterdir():
        if path.name.endswith("614.manifest"):  # the empty first version
            path.unlink()
    with pytest.raises(CatalogDamagedError, match="restore a backup"):
        catalog.recover()


def test_what_killed_commits_left_goes_with_the_next_optimizing(catalog: Catalog) -> None:
    orphan = catalog.folder / "photos.lance" / "data" / "0123456789abcdef.lance"
    orphan.write_bytes(b"half")
    reader = Catalog(catalog.folder, HEADS, DIM)
    catalog.optimize()
    assert not orphan.exists()
    assert len(reader.ids()) == 2
    assert torn(table_files(catalog.folder / "photos.lance")) == []


def test_a_damaged_list_of_files_is_not_used(catalog: Catalog) -> None:
    write_snapshot(catalog.folder, catalog.files())
    file = catalog.folder / "links.arrow"
    assert read_snapshot(catalog.folder) is not None
    file.write_bytes(file.read_bytes()[:40])
    assert read_snapshot(catalog.folder) is None


def test_a_disk_error_is_told_from_other_defects(tmp_path: Path) -> None:
    from indexer.errors import DiskFullError, explain_full_disk

    said = {
        "lance error: Input/output error (os error 5)": DiskError,
        "Read-only file system (os error 30)": DiskError,
        "File too large (os error 27), at x.rs": DiskFullError,
        "No space left on device (os error 28)": DiskFullError,
        "something else (os error 2)": RuntimeError,
    }
    for text, kind in said.items():
        with pytest.raises(kind) as caught, explain_full_disk(tmp_path):
            raise RuntimeError(text)
        assert type(caught.value) is kind
