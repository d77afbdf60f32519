"""`tips prune` and `tips relocate`: what they ask, say and refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.ui.conftest import tips


@pytest.fixture
def moved(collection: Path, photos: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the collection and of its photos, which the copy knows by their new place."""
    folder, new = tmp_path / "c", tmp_path / "new place"
    shutil.copytree(collection, folder)
    shutil.copytree(photos, new)
    result = tips("relocate", photos, new, "-c", folder)
    assert result.exit_code == 0, result.output
    return folder, new


def test_a_moved_library_is_searched_where_it_is(moved: tuple[Path, Path], photos: Path) -> None:
    folder, new = moved
    found = tips("search", "disc", "--all", "-n", 100, "-c", folder).stdout.splitlines()
    assert len(found) == 30
    assert all(Path(path).is_relative_to(new) for path in found)
    again = tips("relocate", photos, new, "-c", folder)
    assert again.exit_code == 2
    assert f"The collection has no photos in {photos}" in again.stderr


def test_a_doubtful_move_is_not_made(moved: tuple[Path, Path], tmp_path: Path) -> None:
    folder, new = moved
    other = tmp_path / "other"
    shutil.copytree(new / "Rome", other / "Rome")
    looked = tips("relocate", new, other, "--dry-run", "--json", "-c", folder)
    assert json.loads(looked.stdout)["there"] == 10
    refused = tips("relocate", new, other, "-c", folder)
    assert refused.exit_code == 2
    assert "21 of 31 files are not in" in refused.stderr
    bucket = tips("relocate", new, "s3://bucket/photos", "-c", folder)
    assert bucket.exit_code == 2
    assert "s3://bucket/photos is on object storage" in bucket.stderr
    assert json.loads(tips("status", "--json", "-c", folder).stdout)["roots"] == [str(new)]


def test_a_move_that_was_insisted_on_does_not_say_that_all_is_there(
    moved: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, new = moved
    other = tmp_path / "other"
    shutil.copytree(new / "Rome", other / "Rome")
    done = tips("relocate", new, other, "--yes", "-c", folder)
    assert done.exit_code == 0
    assert "21 of 31 files are not in" in done.stderr
    assert f"31 paths now point to {other}; `tips index` uses them from now on." in done.stderr
    checked = tips("verify", "--repair", "-c", folder)
    assert checked.exit_code == 1
    assert "files changed or deleted since (`tips index` updates them)" in checked.stdout
    assert "--repair" not in checked.stdout + checked.stderr


def test_many_photos_do_not_leave_without_a_word(moved: tuple[Path, Path]) -> None:
    folder, new = moved
    shutil.rmtree(new / "Rome")
    looked = tips("prune", "--dry-run", "-c", folder).stdout.splitlines()
    assert looked == ["10 files that are gone", "10 of 31 photos would be dropped"]
    refused = tips("prune", "-c", folder)
    assert refused.exit_code == 2
    assert "10 of 31 photos would be removed from the collection, more than 10%" in refused.stderr
    assert json.loads(tips("status", "--json", "-c", folder).stdout)["photos"] == 30
    done = json.loads(tips("prune", "--yes", "--json", "-c", folder).stdout)
    assert (done["leaving"], done["gone"], done["dry_run"]) == (10, 10, False)
    assert json.loads(tips("status", "--json", "-c", folder).stdout)["images"] == 20
