"""A full disk becomes a sentence, whoever noticed it."""

import errno
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
        pytest.raises(DiskFullError, match=r"/c is full, or nearly; .*free some space and run"),
        explain_full_disk(Path("/c")),
    ):
        raise error


def test_the_cause_of_an_error_counts() -> None:
    with pytest.raises(DiskFullError), explain_full_disk(Path("/c")):
        raise RuntimeError("commit failed") from OSError(errno.ENOSPC, "full")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="other"), explain_full_disk(Path("/c")):
        raise RuntimeError("other")
    with pytest.raises(CollectionError), explain_full_disk(Path("/c")):
        raise CollectionError("no space left on device, they say")
