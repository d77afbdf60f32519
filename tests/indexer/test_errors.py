"""A full disk becomes a sentence, whoever noticed it."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from indexer.errors import CollectionError, DiskFullError, explain_full_disk


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("lance error: LanceError(IO): ... No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_says_what_to_do(error: Exception) -> None:
    with (
        pytest.raises(
            DiskFullError, match=r"/c is full or nearly full; .*free some space, then rerun"
        ),
        explain_full_disk(Path("/c")),
    ):
        raise error


def test_the_cause_of_an_error_counts() -> None:
    with pytest.raises(DiskFullError), explain_full_disk(Path("/c")):
        raise RuntimeError("commit failed") from OSError(errno.ENOSPC, "full")


def test_an_error_without_a_reason_is_explained_by_a_disk_that_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Exception("Service runtime error: Failed to create mmap payload storage directory")
    with pytest.raises(Exception, match="Service runtime error"), explain_full_disk(tmp_path):
        raise silent
    assert not list(tmp_path.iterdir())

    def full(*, dir: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DiskFullError, match=r"is full"), explain_full_disk(tmp_path):
        raise silent


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="other"), explain_full_disk(Path("/c")):
        raise RuntimeError("other")
    with pytest.raises(CollectionError), explain_full_disk(Path("/c")):
        raise CollectionError("no space left on device, they say")
