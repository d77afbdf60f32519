"""Opens or creates the collection that a command writes, and checks that the options match it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.formatting import shown
from ui.options import pick_device
from ui.render import say

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.write_lock import Patience
    from tips_model.features import Embedder

DEFAULT_MODEL = "tipsv2-b14"


def check_first_call(folder: Path, paths: tuple[Path | str, ...]) -> None:
    """Before a collection is created, check that there is something to index: a mistyped path must
    not leave an empty collection that is bound to a model. Raises `RootError`.
    """
    from indexer.collection import Collection
    from indexer.errors import RootError
    from indexer.folders.scan import absolute_roots

    if Collection.exists(folder):
        return
    if not paths:
        raise RootError("Nothing to index; name a folder: `tips index PHOTOS`.")
    roots = absolute_roots(paths)
    if not any(map(_has_something, roots)):
        raise RootError(f"{shown(roots[0])} does not exist or is empty; nothing was changed.")


def _has_something(root: str) -> bool:
    from indexer.folders.paths import to_bytes
    from indexer.folders.storage import entries, is_url

    if is_url(root):
        try:
            return bool(entries(root))
        except FileNotFoundError:
            return False
    return os.path.isdir(to_bytes(root)) and bool(os.listdir(to_bytes(root)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A command's options for a collection; None, or an empty layout, where they were not given.

    model: None is the collection's own, or the default for a new one. weights: a folder of files.
    qdrant: a server's address, and its vector layout (layout: fields of `ServerLayout`). catalog:
    its address on object storage.
    """

    model: str | None = None
    weights: Path | None = None
    qdrant: str | None = None
    layout: Mapping[str, Any] = field(default_factory=dict)
    catalog: str | None = None
    tiles: int | None = None
    max_regions: int | None = None


def open_or_create(
    folder: Path, wanted: Wanted, device: str, patience: Patience | None = None
) -> tuple[Collection, Callable[[], Embedder]]:
    """The collection in `folder`, created if missing, and a function that loads its model.

    patience: how to wait for other writers; set on the collection. Prints the collection's folder
    on stderr. Raises `TipsError` for another model than the collection's, and for another engine:
    `tips rebuild` moves the vectors.
    """
    from indexer.collection import EMBEDDED, Collection, new_id
    from indexer.maintenance.migrate import server_engine
    from indexer.server.layout import ServerLayout
    from indexer.write_lock import NO_PATIENCE

    known = Collection.open(folder) if Collection.exists(folder) else None
    if known is not None:
        _check_same(known, wanted.model, wanted.qdrant)
        _check_layout(known, wanted.layout)
        _check_catalog(known, wanted.catalog)
        _check_weights(known, wanted.weights)
        _check_regions(known, wanted.tiles, wanted.max_regions)
    place = str(wanted.weights.absolute()) if wanted.weights else None
    name = known.model.name if known else wanted.model or DEFAULT_MODEL

    load = model_loader(name, place or (known.model.weights if known else None), device)
    patience = patience or NO_PATIENCE
    if known is None:
        own, engine = new_id(), EMBEDDED
        layout = ServerLayout.from_settings(wanted.layout)
        if wanted.qdrant:
            engine = server_engine(folder, own, wanted.qdrant, layout)
            warn_of_clear_key(wanted.qdrant)
        else:
            check_layout_has_server(wanted.layout)
        info = load().info
        if Collection.exists(folder):  # another process created it while the model was loading
            return open_or_create(folder, wanted, device, patience)
        known = Collection.create(
            folder,
            info,
            weights=place,
            engine=engine,
            max_regions=wanted.max_regions,
            tiles=wanted.tiles or 1,
            collection_id=own,
            catalog_url=wanted.catalog,
            patience=patience,
        )
    known.patience = patience
    say(f"Collection {known.folder}")
    if known.model.note:
        say(known.model.note, style="yellow")
    return known, load


def model_loader(name: str, weights: str | Path | None, device: str) -> Callable[[], Embedder]:
    """A function that loads a model once, and reports it on stderr; see `open_embedder`."""

    @cache
    def load() -> Embedder:
        from tips_model.embedder import open_embedder  # torch: not for a run with nothing to do

        chosen = pick_device(device)
        say(f"Model {name} on {chosen}")
        return open_embedder(name, weights=weights, device=chosen)

    return load


def _check_regions(known: Collection, tiles: int | None, max_regions: int | None) -> None:
    """Reject region settings that differ from the collection's."""
    from indexer.errors import CollectionError

    for option, asked, own in (
        ("--tiles", tiles, known.tiles),
        ("--max-regions", max_regions, known.max_regions),
    ):
        if asked is not None and asked != own:
            raise CollectionError(
                f"The collection {known.folder} was made with {option} {own}, not {asked}; "
                f"leave {option} out, or index into a new collection (-c DIR)."
            )


def _check_catalog(known: Collection, catalog: str | None) -> None:
    """Reject a catalog location that differs from the collection's."""
    from indexer.errors import CollectionError

    if catalog is not None and catalog != known.catalog_url:
        raise CollectionError(
            f"The catalog of {known.folder} is {known.catalog_url or 'in its folder'}, not "
            f"{catalog}; leave --catalog out, or index into a new collection (-c DIR)."
        )


def _check_same(known: Collection, model: str | None, qdrant: str | None) -> None:
    """Reject a model or engine that differs from the collection's."""
    from indexer.errors import CollectionError, ModelMismatchError

    if model is not None and model != known.model.name:
        raise ModelMismatchError(
            f"The collection {known.folder} was made with {known.model.name}, not with {model}; "
            "leave --model out, or index into a new collection (-c DIR)."
        )
    if qdrant and known.engine.get("url", "").rstrip("/") != qdrant.rstrip("/"):
        raise CollectionError(
            f"The vectors of {known.folder} are not on {qdrant}; move them there first with "
            f"`tips rebuild -c {known.folder} --qdrant {qdrant}`."
        )


def _check_layout(known: Collection, layout: Mapping[str, Any]) -> None:
    """Reject a layout that differs from that of the collection's vectors."""
    from indexer.errors import CollectionError
    from indexer.server.layout import ServerLayout

    if not layout:
        return
    own = ServerLayout.from_settings(known.engine)
    wanted = ServerLayout.from_settings({**known.engine, **layout})
    if known.engine["kind"] != "server" or wanted != own:
        raise CollectionError(
            f"The vectors of {known.folder} have another layout; `tips rebuild` with the same "
            "options changes the layout."
        )


def fetch_weights(
    folder: Path, model: str | None, progress: Callable[[int, int | None], None]
) -> None:
    """Download the missing official weights that a run needs, of its collection's model or of a new
    collection's; does nothing for other models.

    progress: called with the bytes present and the total, both approximate.
    """
    from indexer.collection import Collection
    from tips_model.config import VARIANTS
    from tips_model.registry import OFFICIAL, cached_folder, fetch
    from ui.commands.models import BYTES_PER_PARAMETER

    known = Collection.open(folder).model if Collection.exists(folder) else None
    name = known.name if known else model or DEFAULT_MODEL
    if (known and known.weights) or name not in OFFICIAL or cached_folder(name) is not None:
        return
    say(f"Downloading {name}")
    about = VARIANTS[name].parameter_count() * BYTES_PER_PARAMETER
    here: dict[str, int] = {}

    def show(file: str, done: int, total: int | None) -> None:
        here[file] = done
        progress(sum(here.values()), about)

    fetch(name, show)


def remember(folder: Path) -> None:
    """Add the collection to this machine's list; if the list cannot be written, print why."""
    from ui.registry import RegistryError, register

    try:
        register(folder)
    except RegistryError as error:
        say(str(error), "yellow")


def _check_weights(known: Collection, weights: Path | None) -> None:
    """Reject other weights under the model's name, where this is known without loading them."""
    from indexer.errors import ModelMismatchError
    from tips_model.registry import stated_id

    stated = stated_id(known.model.name, weights or known.model.weights)
    made = known.model.model_id
    if stated is not None and not made.startswith(f"{stated}:"):
        raise ModelMismatchError(
            f"The collection {known.folder} was made with {known.model.name} ({made}), but these "
            f"are the weights {stated}; name those it was made with (--weights DIR), or index into "
            "a new collection (-c DIR)."
        )


def check_layout_has_server(layout: Mapping[str, Any]) -> None:
    """Reject a layout when no server is given."""
    if layout:
        raise click.UsageError(
            "--shards, --replicas, --write-consistency and --quantization are for vectors on a "
            "server; name it (--qdrant URL)."
        )


def warn_of_clear_key(url: str) -> None:
    """Warn when the server's API key would travel unencrypted."""
    from indexer.server.client import API_KEY, sends_key_in_clear

    if sends_key_in_clear(url):
        say(f"The key in ${API_KEY} goes to {url} unencrypted; use https where others listen.")


def change_excluded(opened: Collection, more: Sequence[str], less: Sequence[str]) -> None:
    """Add names to the folders that a collection excludes, and take others away. Raises
    `CollectionBusyError`, and `click.UsageError` for a name that is not excluded.
    """
    for name in less:
        if name not in opened.exclude:
            excluded = ", ".join(opened.exclude) or "none"
            raise click.UsageError(
                f"--include-dir: {name} is not an excluded folder; they are {excluded}."
            )
    if more or less:
        with opened.lock():
            kept = [name for name in opened.exclude if name not in less]
            opened.set_exclude([*kept, *(name for name in more if name not in kept)])
