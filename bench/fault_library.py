"""A small library of photos that changes as real ones do, and what a collection must say of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

FEWEST, MOST = 8, 16  # photos: enough for several commits, few enough for hundreds of runs
SIDES = (64, 48)  # pixels


class Library:
    """Photos below `folder`; every change is drawn from `rng`."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        """Fill a new folder."""
        self.folder, self.rng = folder, rng
        self._made = 0
        folder.mkdir(parents=True)
        for _ in range(FEWEST + 2):
            self.add()

    def files(self) -> list[Path]:
        """All photos, sorted."""
        return sorted(self.folder.rglob("*.png"))

    def contents(self) -> dict[str, str]:
        """Path -> the id of its content."""
        from indexer.photos.content import content_id

        found = {}
        for path in self.files():
            with path.open("rb") as file:
                found[str(path)] = content_id(file)
        return found

    def add(self) -> None:
        """A new photo in one of three folders."""
        self._made += 1
        path = self.folder / f"{self.rng.integers(3)}" / f"{self._made:04}.png"
        path.parent.mkdir(exist_ok=True)
        self._write(path)

    def change(self) -> None:
        """What happens between two runs: photos come, go, move, are copied, edited and touched."""
        files = self.files()
        picked = [files[i] for i in self.rng.permutation(len(files))[:5]]
        gone, moved, copied, edited, touched = picked
        if len(files) > MOST:
            gone.unlink()
            copied.unlink()
        elif len(files) > FEWEST:
            gone.unlink()
            shutil.copy2(copied, copied.with_name(f"copy-{self._made}-{copied.name}"[:40]))
        self._made += 1
        moved.rename(moved.with_name(f"{self._made:04}.png"))
        self._write(edited)
        os.utime(touched)
        for _ in range(3):
            self.add()

    def disturb(self, path: Path) -> str:
        """Do something to a photo that may be being read, and say what."""
        what = str(self.rng.choice(["touched", "truncated", "replaced", "overwritten", "removed"]))
        if what == "touched":
            os.utime(path)
        elif what == "truncated":
            os.truncate(path, path.stat().st_size // 2)
        elif what == "replaced":
            self._write(path)
        elif what == "overwritten":
            other = self._picture()
            with path.open("r+b") as file:
                file.write(other[: path.stat().st_size])
        else:
            path.unlink()
        return what

    def _write(self, path: Path) -> None:
        temporary = path.with_suffix(".part")
        temporary.write_bytes(self._picture())
        temporary.replace(path)

    def _picture(self) -> bytes:
        from io import BytesIO

        small = self.rng.integers(0, 256, (6, 8, 3), np.uint8)
        out = BytesIO()
        Image.fromarray(small).resize(SIDES, Image.Resampling.NEAREST).save(out, "PNG")
        return out.getvalue()
