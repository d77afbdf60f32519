"""Downloads the drawings for scenes: npm packages of emoji art, pinned by version and hash.

Each package is one file of SVG bodies whose keys are shared across vendors. Packages are downloaded
once with the ordinary `npm` client into a cache folder and are checked against the registry's
sha512 on every use. All licences are permissive (MIT, Apache-2.0, CC-BY-4.0).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir

from tips_model.errors import TipsError


class DrawingsError(TipsError):
    """The drawings cannot be downloaded or do not match their pinned hash."""


@dataclass(frozen=True, slots=True)
class DrawingSet:
    """One vendor's drawings in one npm package.

    `family` groups sets that show the same drawings in two styles; a split must not separate them.
    `integrity` is npm's: "sha512-" and the base64 digest of the tarball.
    """

    vendor: str
    version: str
    integrity: str
    family: str

    @property
    def package(self) -> str:
        """The npm name with its version, as `npm pack` takes it."""
        return f"@iconify-json/{self.vendor}@{self.version}"

    @property
    def file_name(self) -> str:
        """The tarball's name, as `npm pack` writes it."""
        return f"iconify-json-{self.vendor}-{self.version}.tgz"


DRAWING_SETS: tuple[DrawingSet, ...] = (
    DrawingSet(
        "twemoji",
        "1.2.5",
        "sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
        "twemoji",
    ),
    DrawingSet(
        "noto",
        "1.2.9",
        "sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
        "noto",
    ),
    DrawingSet(
        "noto-v1",
        "1.2.5",
        "sha512-/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
        "noto-v1",
    ),
    DrawingSet(
        "fluent-emoji",
        "1.2.7",
        "sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
        "fluent",
    ),
    DrawingSet(
        "fluent-emoji-flat",
        "1.2.6",
        "sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        "fluent",
    ),
    DrawingSet(
        "emojione",
        "1.2.3",
        "sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==",
        "emojione",
    ),
)
"""All drawing sets; twemoji is the vendor that training never sees (`HELD_OUT`)."""

HELD_OUT = "twemoji"
"""The family kept out of all training, for evaluation on unseen drawings."""


def cache_folder() -> Path:
    """The cache of downloaded and rendered drawings: `$TIPS_CACHE` or the user's cache folder."""
    base = os.environ.get("TIPS_CACHE") or user_cache_dir("tips-search")
    return Path(base) / "drawings"


def integrity_of(path: Path) -> str:
    """npm's integrity string of a file: "sha512-" and the base64 digest."""
    digest = hashlib.sha512(path.read_bytes()).digest()
    return "sha512-" + base64.b64encode(digest).decode()


def fetch(drawings: DrawingSet, folder: Path | None = None) -> Path:
    """The package's tarball in the cache, downloaded with npm if missing.

    Raises `DrawingsError` if npm is missing or fails, or if the file does not match its pinned
    hash.
    """
    folder = folder or cache_folder()
    target = folder / drawings.file_name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _npm_pack(drawings, Path(scratch))
            (Path(scratch) / drawings.file_name).replace(target)
    if integrity_of(target) != drawings.integrity:
        raise DrawingsError(
            f"{target} is not the pinned {drawings.package}; delete it and download again"
        )
    return target


def _npm_pack(drawings: DrawingSet, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DrawingsError(
            f"fetching {drawings.package} needs npm; install it, or put "
            f"{drawings.file_name} into {cache_folder()}"
        )
    done = subprocess.run(
        [npm, "pack", "--silent", drawings.package],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not (folder / drawings.file_name).exists():
        raise DrawingsError(f"npm could not fetch {drawings.package}: {done.stderr.strip()[-500:]}")


def _member(tarball: Path, name: str) -> dict[str, Any]:
    with tarfile.open(tarball) as archive:
        stream = archive.extractfile(f"package/{name}")
        assert stream is not None, f"{tarball} has no {name}"
        content: dict[str, Any] = json.load(stream)
    return content


def read_svgs(tarball: Path, slugs: list[str]) -> dict[str, str]:
    """The requested drawings of a package as complete SVG documents; missing slugs are left out."""
    content = _member(tarball, "icons.json")
    icons, aliases = content["icons"], content.get("aliases", {})
    found = {}
    for slug in slugs:
        icon = icons.get(slug) or icons.get(aliases.get(slug, {}).get("parent", ""))
        if icon is None:
            continue
        width = icon.get("width", content["width"])
        height = icon.get("height", content["height"])
        found[slug] = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f"{icon['body']}</svg>"
        )
    return found


@dataclass(frozen=True, slots=True)
class Attribution:
    """A package's statement of its author and licence."""

    title: str
    author: str
    source: str
    licence: str
    licence_url: str


def read_attribution(tarball: Path) -> Attribution:
    """Author and licence from the package's own `info.json`."""
    info = _member(tarball, "info.json")
    return Attribution(
        title=info["name"],
        author=info["author"]["name"],
        source=info["author"].get("url", ""),
        licence=info["license"]["spdx"],
        licence_url=info["license"].get("url", ""),
    )
