"""Text that comes from files stays text."""

from __future__ import annotations

from datetime import datetime

import pytest

from indexer.folders.paths import to_text
from ui.formatting import counted, day, exposure_time, file_size, plain, shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Trip/été 🌞.jpg".encode(), "Trip/été 🌞.jpg"),
        (b"two\nlines\t.jpg", "two\\nlines\\t.jpg"),
        (b"\x1b[31mred.jpg", "\\x1b[31mred.jpg"),
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        ("right\u202eleft.jpg".encode(), "right\\u202eleft.jpg"),
    ],
)
def test_paths_are_shown_without_control_characters(name: bytes, text: str) -> None:
    assert shown(to_text(name)) == text


def test_markdown_is_shown_literally() -> None:
    assert plain("a*b* ![x](y)\n<i>") == r"a\*b\* \!\[x\]\(y\) \<i\>"


def test_figures_are_written_as_people_do() -> None:
    assert [exposure_time(t) for t in (0.004, 0.5, 2.0)] == ["1/250 s", "0.5 s", "2 s"]
    assert [file_size(n) for n in (900, 12_345, 3_440_000)] == ["900 B", "12 kB", "3.4 MB"]
    assert [counted(n, "photo") for n in (0, 1, 1200)] == ["0 photos", "1 photo", "1,200 photos"]
    assert day(datetime(2024, 5, 3, 9, 7)) == "3 May 2024, 09:07"
