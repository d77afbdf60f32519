"""Installation and collection checks: one `Check` per dependency, with the fix.

    for check in examine(folder, "cpu"): print(check.state, check.name, check.text)

Nothing is changed. A check that cannot run is reported as a problem and does not stop the others.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from indexer.collection import Collection
from tips_model.errors import TipsError
from ui.formatting import counted, shown

State = Literal["ok", "warning", "problem"]
LITTLE, TOO_LITTLE = 5e9, 500e6  # bytes free
MANY_FRAGMENTS = 200


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, its state, and in words the finding, or the problem and its fix."""

    name: str
    state: State
    text: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(folder: Path, device: str) -> Iterator[Check]:
    """All checks, ordered so that a fault explains those after it. folder: of the collection, which
    need not exist. device: as chosen, a torch name."""
    yield from _installed(device)
    yield from _each("list of collections", _known)
    yield from _each("watching", _watching)
    if not Collection.exists(folder):
        yield Check(
            "collection",
            "warning",
            f"there is none in {folder}; create one with `tips index PHOTOS -c {folder}`",
        )
        yield from _each("disk", partial(_disks, folder))
        return
    yield from _each("disk", partial(_disks, folder))
    try:
        opened = Collection.open(folder)
    except TipsError as error:
        yield Check("collection", "problem", str(error))
        return
    yield Check("collection", "ok", f"{opened.folder}, made with {opened.model.name}")
    for name, check in (
        ("model", _model),
        ("lock", _lock),
        ("catalog", _catalog),
        ("vectors", _vectors),
        ("folders", _folders),
        ("leftovers", _leftovers),
    ):
        yield from _each(name, partial(check, opened))


def _each(name: str, check: Callable[[], tuple[State, str]]) -> Iterator[Check]:
    try:
        yield Check(name, *check())
    except (TipsError, OSError, ImportError) as error:
        yield Check(name, "problem", str(error))


def _installed(device: str) -> Iterator[Check]:
    for name, check in (
        ("python", _python),
        ("packages", _packages),
        ("torch", partial(_torch, device)),
        ("pictures", _pictures),
    ):
        yield from _each(name, check)


def _python() -> tuple[State, str]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return "ok", found


def _packages() -> tuple[State, str]:
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(text) for text in metadata.requires("tips-search") or ()]
    except metadata.PackageNotFoundError:
        return "warning", "tips-search itself is not installed, so what it needs is not known"
    wanted = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for one in wanted:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} is {version}, not {one.specifier}")
    if wrong:
        return "problem", f"{'; '.join(wrong)}: install tips-search again"
    return "ok", f"tips-search {metadata.version('tips-search')}, {len(wanted)} packages as needed"


def _torch(device: str) -> tuple[State, str]:
    import torch

    threads, processors = torch.get_num_threads(), len(os.sched_getaffinity(0))
    found = f"{torch.__version__}, device {device}, {counted(threads, 'thread')}"
    there: dict[str, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device, True):
        return "problem", (
            f"{torch.__version__}; the device {device} is not available here; use `--device cpu`, "
            "or install a torch and a driver that know it"
        )
    if device == "cpu" and threads < processors // 2:
        return "warning", (
            f"{found} of {processors} processors; unset OMP_NUM_THREADS to use them all"
        )
    return "ok", found


def _pictures() -> tuple[State, str]:
    import pillow_heif
    import rawpy
    from PIL import features

    missing = [name for name in ("jpg", "zlib", "webp", "libtiff") if not features.check(name)]
    if not features.check("freetype2"):
        missing.append("freetype2 (for the names on drawn pictures)")
    if missing:
        return "problem", f"Pillow lacks {', '.join(missing)}; install its own wheel again"
    heif, raw = pillow_heif.libheif_version(), ".".join(map(str, rawpy.libraw_version))
    return "ok", f"JPEG, PNG, WebP, TIFF; HEIC and AVIF by libheif {heif}; RAW by libraw {raw}"


def _known() -> tuple[State, str]:
    from ui.registry import known, registry_file

    entries = known()
    away = [entry.folder for entry in entries if not entry.present]
    if away:
        return "warning", (
            f"{len(away)} of {len(entries)} are missing, such as {shown(away[0])}; bring it "
            "back, or take it off the list on the app's page of collections"
        )
    return "ok", f"{counted(len(entries), 'collection')} in {registry_file()}"


def _watching() -> tuple[State, str]:
    from indexer.maintenance import watch_limits

    problem = watch_limits.problem()
    if problem is not None:
        return "warning", f"{problem}; `tips watch --poll` goes without"
    limit = watch_limits.limit()
    return "ok", "by the system's events" + (f", up to {limit:,} folders" if limit else "")


def _disks(folder: Path) -> tuple[State, str]:
    from tips_model.registry import cache_folder

    places = {"collection": folder, "models": cache_folder(), "temporary files": _temporary()}
    free = {}
    for name, path in places.items():
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        free[name] = shutil.disk_usage(there).free
    text = ", ".join(f"{size / 1e9:,.1f} GB free for {name}" for name, size in free.items())
    least = min(free.values())
    if least < TOO_LITTLE:
        return "problem", f"{text}; make room: indexing stops on a full disk"
    return ("warning" if least < LITTLE else "ok"), text


def _temporary() -> Path:
    return Path(tempfile.gettempdir())


def _model(opened: Collection) -> tuple[State, str]:
    from tips_model.download import damaged
    from tips_model.registry import OFFICIAL, cached_folder, missing_sentence, stated_id

    model = opened.model
    stated = stated_id(model.name, model.weights)
    if stated is not None:
        if not model.model_id.startswith(f"{stated}:"):
            return "problem", (
                f"the weights of {model.name} here are {stated}, the collection was made with "
                f"{model.model_id}; bring those back, or `tips switch` to these"
            )
        return "ok", f"{model.name}, the weights that the collection was made with"
    if model.weights is not None:
        if not Path(model.weights).exists():
            return "problem", f"{model.weights} is not there; bring the model's folder back"
        return "ok", f"{model.name} in {model.weights}"
    if model.name not in OFFICIAL:
        return "ok", f"{model.name}; whether its weights are here shows when it is loaded"
    folder = cached_folder(model.name)
    if folder is None:
        return "problem", missing_sentence(model.name)
    wrong = [text for file in sorted(folder.iterdir()) if (text := damaged(file.name, folder))]
    if wrong:
        return "problem", (
            f"{'; '.join(wrong)}; delete it from {folder} and run `tips models fetch {model.name}`"
        )
    return "ok", f"{model.name} in {folder}, by size and hash"


def _lock(opened: Collection) -> tuple[State, str]:
    from indexer.write_lock import holder

    found = holder(opened.folder)
    if found is None:
        return "ok", "nobody writes the collection"
    return ("warning" if found.alive is False else "ok"), f"held by {found}"


def _catalog(opened: Collection) -> tuple[State, str]:
    if not opened.catalog_folder.exists():
        return "warning", "nothing was indexed yet; `tips index PHOTOS`"
    catalog = opened.catalog()
    counts, fragments = catalog.counts(), catalog.fragments()
    text = f"{counted(counts['ok'], 'photo')}, {counts['failed']:,} failed, revision "
    text += f"{catalog.revision}, {counted(fragments, 'fragment')}"
    if fragments > MANY_FRAGMENTS:
        return "warning", f"{text}, which is slow; `tips prune` joins them"
    if outdated := len(catalog.outdated()):
        text += f"; an earlier version has read {counted(outdated, 'photo')}"
        return "warning", f"{text}: `tips index --reread` reads dates, places and keywords again"
    return "ok", text


def _vectors(opened: Collection) -> tuple[State, str]:
    store, catalog = opened.vectors(), opened.catalog()
    try:
        revision, images = store.revision, store.count("images")
    finally:
        store.close()
    where = opened.engine.get("url", "embedded")
    if revision > catalog.revision:
        return "problem", (
            f"they show revision {revision}, and the catalog is at {catalog.revision}; `tips "
            "rebuild` rebuilds them"
        )
    if next(catalog.changed_since(revision, ["id"]), None) is not None:
        return "warning", "they lack the last changes of the catalog; `tips index` publishes them"
    return "ok", f"{counted(images, 'photo')} ({where}), up to date with the catalog"


def _folders(opened: Collection) -> tuple[State, str]:
    from indexer.folders.mounts import on_network
    from indexer.folders.paths import to_bytes
    from indexer.folders.roots import absent

    away = absent(opened.roots)
    if away:
        return "warning", (
            f"{len(away)} of {len(opened.roots)} are missing, such as {shown(away[0])}; "
            "reconnect it, or see `tips relocate` and `tips prune --missing-roots`"
        )
    remote = [root for root in opened.roots if on_network(to_bytes(root))]
    text = f"{counted(len(opened.roots), 'folder')}, all present"
    return "ok", text + (f"; {len(remote)} on the network (`tips watch --poll`)" if remote else "")


def _leftovers(opened: Collection) -> tuple[State, str]:
    from indexer.maintenance import model_switch
    from indexer.maintenance.prune import orphans

    other, before = model_switch.following(opened), model_switch.previous(opened)
    kept = [f"{other.model.name} is being built" for _ in (1,) if other is not None]
    kept += [f"{before.model.name} is kept from before the switch" for _ in (1,) if before]
    found = orphans(opened)
    if found:
        return "warning", f"{counted(len(found), 'leftover')}; `tips prune` deletes them"
    return "ok", "; ".join(kept) or "none"
