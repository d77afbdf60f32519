"""The shareable report of `tips status --report`: versions, settings, counts and errors,
anonymised.

Free texts (errors, reasons) go through `Pseudonyms.sentence`; everything else is a number, a time,
or one of a few words.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from indexer import run_log
from indexer.collection import Collection
from indexer.folder_size import disk_bytes
from indexer.folders.mounts import kind_of
from indexer.folders.paths import to_bytes
from indexer.folders.roots import identity
from indexer.maintenance import model_switch
from indexer.write_lock import holder
from tips_model.errors import TipsError
from ui.formatting import file_size
from ui.pseudonyms import Pseudonyms, private_texts, report_key

FORMAT = 1
LAST_RUNS = 40
LAST_FAILURES = 20
PACKAGES = ("torch", "lancedb", "pylance", "qdrant-edge-py", "qdrant-client", "pillow")
OTHER_PACKAGES = ("pillow-heif", "rawpy", "polars", "pyarrow", "numpy", "streamlit", "watchfiles")
_PLAIN = re.compile(r"[a-z_]{1,32}")


def report(collection: Collection) -> str:
    """The report as text, one section per topic."""
    files = collection.catalog().files()
    names = Pseudonyms(
        report_key(collection.folder / run_log.FOLDER),
        collection.roots,
        files["path"],
        private_texts(collection.folder),
    )
    sections = {
        f"tips-search report, format {FORMAT}": _head(),
        "versions": _versions(),
        "system": _system(),
        "settings": _settings(collection),
        "folders": _folders(collection, names),
        "state": _state(collection, names),
        "runs, oldest first": _runs(collection, names),
        "photos that cannot be read": _failures(collection, names),
    }
    parts = [
        f"{title}\n" + "".join(f"  {line}\n" for line in lines) for title, lines in sections.items()
    ]
    return "\n".join(parts)


def _head() -> Iterator[str]:
    yield datetime.now(UTC).isoformat(timespec="seconds")
    yield "Without paths, names, places, hosts and queries: root1/…/3f2a9c51.jpg is a photo."


def _versions() -> Iterator[str]:
    yield f"python {platform.python_version()}"
    for name in ("tips-search", *PACKAGES, *OTHER_PACKAGES):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} missing"


def _system() -> Iterator[str]:
    yield f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} processors"
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield f"{pages / 1e9:.1f} GB memory"
    yield f"threads: OMP_NUM_THREADS={'set' if os.environ.get('OMP_NUM_THREADS') else 'not set'}"


def _settings(collection: Collection) -> Iterator[str]:
    from tips_model.registry import OFFICIAL

    model = collection.model
    public = model.name in OFFICIAL or model.name == "nano"
    kind = "openclip" if model.name.startswith("openclip:") else "a model of its own"
    yield f"model: {model.name if public else kind}, {len(model.heads)} heads, width {model.dim}"
    yield f"weights: {'a folder' if model.weights else 'fetched or bundled'}"
    yield f"pictures: {model.image_size} pixels, patch {model.patch}, tiles {collection.tiles}"
    yield f"regions: at most {collection.max_regions}"
    engine = collection.engine["kind"]
    yield f"engine: {engine if _PLAIN.fullmatch(engine) else 'unknown'}"


def _folders(collection: Collection, names: Pseudonyms) -> Iterator[str]:
    files = collection.catalog().files()
    counts = Counter(files["root"].to_list())
    for root in collection.roots:
        state = "there" if identity(root) is not None else "not there"
        kind = kind_of(to_bytes(root)) or "unknown"
        yield f"{names.root(root)}: {state}, {kind}, {counts[root]:,} files"


def _state(collection: Collection, names: Pseudonyms) -> Iterator[str]:
    catalog = collection.catalog()
    counts = catalog.counts()
    yield ", ".join(f"{count:,} {status}" for status, count in counts.items())
    yield (
        f"catalog: revision {catalog.revision}, {catalog.fragments()} fragments, "
        f"{catalog.versions()} versions, {file_size(disk_bytes(collection.catalog_folder))}"
    )
    try:
        store = collection.vectors()
        try:
            yield (
                f"vectors: revision {store.revision}, {store.count('images'):,} images, "
                f"{store.count('regions'):,} regions, "
                f"{file_size(disk_bytes(collection.data_folder / 'vectors'))}"
            )
        finally:
            store.close()
    except TipsError as error:
        yield f"vectors: {names.sentence(str(error))}"
    found = holder(collection.folder)
    if found is not None:
        yield f"held since {found.since}, by a process that is {_alive(found.alive)}"
    if model_switch.following(collection) is not None:
        yield "another model is being built"
    if collection.previous is not None:
        yield "another model is kept from before a switch"


def _alive(alive: bool | None) -> str:
    return {True: "there", False: "gone", None: "on another host"}[alive]


def _runs(collection: Collection, names: Pseudonyms) -> Iterator[str]:
    for line in run_log.read(collection.folder, LAST_RUNS):
        yield " ".join(_run(line, names))


def _run(line: dict[str, Any], names: Pseudonyms) -> Iterator[str]:
    """A line of the log, reduced to what may be shared."""
    yield _moment(line.get("time"))
    yield _plain(line.get("command"))
    yield _plain(line.get("event"))
    if "seconds" in line:
        yield f"after {_number(line['seconds'])} s"
    yield from (
        f"{_plain(name)}={_number(count)}" for name, count in dict(line.get("counts", {})).items()
    )
    for name, stage in dict(line.get("stages", {})).items():
        seconds, done = _number(stage.get("seconds")), _number(stage.get("done"))
        rate = f", {done / seconds:.1f}/s" if done and seconds else ""
        yield f"{_plain(name)}: {seconds} s{rate}"
    if "error" in line:
        error = str(line["error"])
        yield f"{error if error.isidentifier() and error.isascii() else '?'}:"
        yield names.sentence(str(line.get("sentence", "")))


def _failures(collection: Collection, names: Pseudonyms) -> Iterator[str]:
    frame = collection.catalog().failures()
    if frame.is_empty():
        yield "none"
    reasons = Counter(names.sentence(reason) for reason in frame["reason"].to_list())
    yield from (f"{count:,} x {reason}" for reason, count in reasons.most_common())
    for row in frame.head(LAST_FAILURES).iter_rows(named=True):
        size = file_size(row["size"])
        yield f"{names.path(row['path'])}: {names.sentence(row['reason'])} ({size})"


def _plain(word: object) -> str:
    return word if isinstance(word, str) and _PLAIN.fullmatch(word) else "?"


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _moment(text: object) -> str:
    try:
        return datetime.fromisoformat(str(text)).isoformat(timespec="seconds")
    except ValueError:
        return "?"
