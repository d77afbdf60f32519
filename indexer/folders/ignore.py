"""Which folders and files are no photos of the user: fixed rules, `.nomedia`, and `.tipsignore`
files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from indexer.errors import RootError
from indexer.folders.paths import to_text

IGNORE_FILE = b".tipsignore"
NO_MEDIA = b".nomedia"
SKIPPED_FOLDERS = frozenset(
    {
        b"@eadir",
        b".git",
        b"node_modules",
        b"system volume information",
        b"$recycle.bin",
        b"#recycle",
    }
)

RAW_EXTENSIONS = frozenset(
    [
        "3fr",
        "arw",
        "cr2",
        "cr3",
        "dng",
        "erf",
        "iiq",
        "kdc",
        "mef",
        "mos",
        "mrw",
        "nef",
        "nrw",
        "orf",
        "pef",
        "raf",
        "rw2",
        "rwl",
        "sr2",
        "srf",
        "srw",
        "x3f",
    ]
)
EXTENSIONS = RAW_EXTENSIONS | frozenset(
    [
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "mpo",
        "png",
        "apng",
        "webp",
        "tif",
        "tiff",
        "gif",
        "bmp",
        "dib",
        "heic",
        "heif",
        "hif",
        "avif",
        "avifs",
    ]
)
"""File name endings (lower case, no dot) of photos; what a file really holds is decided by its
content."""


def extension(name: bytes) -> str:
    """The lower-case ending of a file name without the dot; "" when it has none."""
    _, dot, ending = name.rpartition(b".")
    return ending.decode("ascii", "replace").lower() if dot else ""


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """gitignore patterns that hold below `base` (bytes path), on top of `parent`'s; the nearest
    file decides."""

    base: bytes
    spec: GitIgnoreSpec
    parent: IgnoreRules | None = None

    @classmethod
    def parse(
        cls, base: bytes, lines: Sequence[str], parent: IgnoreRules | None, source: str
    ) -> IgnoreRules:
        """Rules from gitignore lines; raises `RootError` naming `source` when a pattern is
        malformed."""
        try:
            # re2 takes time in proportion to a name's length; with Python's own expressions, a few
            # stars in a stranger's ignore file would stop the scan for good.
            return cls(base, GitIgnoreSpec.from_lines(lines, backend="re2"), parent)
        except (ValueError, re.error) as error:
            raise RootError(f"{source} has a pattern that cannot be read: {error}.") from error

    def ignores(self, path: bytes, is_folder: bool) -> bool:
        """Whether the path is ignored, by the innermost rules that say anything about it."""
        relative = to_text(path[len(self.base.rstrip(b"/")) + 1 :])
        verdict = self.spec.check_file(relative + "/" if is_folder else relative).include
        if verdict is not None:
            return verdict
        return self.parent.ignores(path, is_folder) if self.parent else False
