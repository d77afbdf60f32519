"""Rules for files and folders to ignore: built-in ones, `.nomedia`, and `.tipsignore` files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from indexer.errors import RootError
from indexer.folders.paths import from_argument, to_text
from indexer.names import composed

IGNORE_FILE = b".tipsignore"
NO_MEDIA = b".nomedia"
APPLE_LIBRARY = ".photoslibrary"
DEFAULT = (
    "@[eE][aA][dD][iI][rR]/",  # Synology: thumbnails
    "\\#recycle/",
    "\\#snapshot/",
    "$[rR][eE][cC][yY][cC][lL][eE].[bB][iI][nN]/",  # Windows
    "[sS]ystem [vV]olume [iI]nformation/",
    "*.lrdata/",  # Lightroom: previews
    "*.photoslibrary/*/",  # Apple Photos: thumbnails and renderings beside the originals
    "!*.photoslibrary/[oO]riginals/",
    "!*.photoslibrary/[mM]asters/",
    ".git/",
    "node_modules/",
)
"""gitignore patterns of folders whose pictures are copies or no photos. A pattern of the user that
begins with `!` in a `.tipsignore` takes one back."""

RAW_EXTENSIONS = frozenset(
    [
        "3fr",
        "arw",
        "cr2",
        "cr3",
        "crw",
        "dng",
        "erf",
        "gpr",
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
        "jxl",
        "jp2",
        "j2k",
        "j2c",
        "jpc",
        "jpf",
        "jpx",
        "psd",
    ]
)
"""File name extensions (lower case, no dot) of photos; the content decides what a file really
is."""


def folder_pattern(name: str) -> str:
    """The pattern of all folders with this name, which is taken literally but for `*` and `?`."""
    return re.sub(r"([\\\[\]!# ])", r"\\\1", name.rstrip("/")) + "/"


def extension(name: bytes) -> str:
    """The lower-case extension of a file name without the dot; "" when it has none."""
    _, dot, ending = name.rpartition(b".")
    return ending.decode("ascii", "replace").lower() if dot else ""


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """gitignore patterns that apply below `base` (bytes path), on top of `parent`'s; the nearest
    file decides."""

    base: bytes
    spec: GitIgnoreSpec
    parent: IgnoreRules | None = None

    @classmethod
    def parse(
        cls, base: bytes, lines: Sequence[str], parent: IgnoreRules | None, source: str
    ) -> IgnoreRules:
        """Parse gitignore lines; raises `RootError` naming `source` when a pattern is malformed.

        Patterns and names are compared in one form of accents, and by case.
        """
        lines = [composed(from_argument(line)) for line in lines]
        try:
            with warnings.catch_warnings():  # of what a later Python may read in `[a--b]`
                warnings.simplefilter("ignore", FutureWarning)
                # re2 takes time linear in a name's length; with Python's `re`, a few stars in a
                # stranger's ignore file would hang the scan.
                return cls(base, GitIgnoreSpec.from_lines(lines, backend="re2"), parent)
        except (ValueError, re.error) as error:
            raise RootError(f"{source} has a pattern that cannot be read: {error}.") from error

    def ignores(self, path: bytes, is_folder: bool) -> bool:
        """Whether the path is ignored, by the innermost rules that match it."""
        return bool(self.verdict(path, is_folder))

    def verdict(self, path: bytes, is_folder: bool) -> bool | None:
        """The same; None where no rule matches it."""
        relative = composed(to_text(path[len(self.base.rstrip(b"/")) + 1 :]))
        found = self.spec.check_file(relative + "/" if is_folder else relative).include
        if found is not None:
            return found
        return self.parent.verdict(path, is_folder) if self.parent else None


def skips_folder(path: bytes, root: str, rules: IgnoreRules | None) -> str:
    """Why a folder below a root is not walked: "ignored" by rules of the user, or "default"; ""
    when it is walked.
    """
    verdict = rules.verdict(path, is_folder=True) if rules else None
    if verdict is not None:
        return "ignored" if verdict else ""
    # A root is walked whatever it is called, but a library of Apple's keeps its own order.
    above = root.rpartition("/")[0] if root.lower().endswith(APPLE_LIBRARY) else root
    relative = to_text(path)[len(above.rstrip("/")) + 1 :]
    return "default" if _DEFAULT.check_file(relative + "/").include else ""


_DEFAULT = GitIgnoreSpec.from_lines(
    [f"!**/{line[1:]}" if line.startswith("!") else f"**/{line}" for line in DEFAULT],
    backend="re2",
)
