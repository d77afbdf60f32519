"""The form for a new collection: a folder of photos, a name, a model; submitting it starts
indexing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from indexer.folders.paths import to_bytes, to_text
from indexer.names import comparable
from tips_model.errors import TipsError
from tips_model.registry import ModelFiles, list_models
from ui import jobs
from ui.app.folder_field import count_photos, folder_field, look
from ui.commands.models import BYTES_PER_PARAMETER
from ui.formatting import plain, shown
from ui.options import default_collection
from ui.registry import Known, data_folder, forget, known, register, slug, unused

FOLDER, TITLE, MODEL, SMALL, FETCH = (
    f"new-{part}" for part in ("folder", "title", "model", "small", "fetch")
)
SMALL_TILES = 2
BUNDLED = "nano"
FAMILY = "tipsv2-"
LONGEST_TITLE = 60


class FormError(TipsError):
    """The form is incomplete or invalid."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The submitted form. folder: of the photos, as text. fetch: the model may be downloaded."""

    folder: str
    title: str
    model: str
    small_things: bool = False
    fetch: bool = False


@st.fragment
def show_form() -> None:
    """Draw the form, and start indexing when it is submitted; a sentence says what is missing."""
    models = {model.name: model for model in list_models()}
    folder = folder_field("Folder of photos", FOLDER)
    title = st.text_input(
        "Name",
        key=TITLE,
        placeholder=shown(_title(folder)) if folder else "Holiday",
        max_chars=LONGEST_TITLE,
    )
    names = ordered(models.values())
    here = (names.index(name) for name in names if models[name].here and name != BUNDLED)
    name = st.selectbox(
        "Model",
        names,
        index=next(here, 0),
        key=MODEL,
        format_func=lambda name: label(models[name]),
    )
    fetch = _about(models[name])
    small = st.checkbox("Find small things too (takes five times as long)", key=SMALL)
    if st.button("Create and index", type="primary", icon=":material/add:", key="new-create"):
        typed = folder or str(st.session_state.get(FOLDER) or "")
        try:
            create(Wish(typed, title.strip(), name, small, fetch))
        except TipsError as error:
            st.error(plain(str(error)), icon=":material/edit:")
            return
        st.session_state["new-made"] = True  # the page collapses and clears the form
        st.rerun()


def ordered(models: Iterable[ModelFiles]) -> list[str]:
    """The names of the models: the newest family with the default, the bundled one, the rest."""
    names = [model.name for model in models]
    return sorted(names, key=lambda name: (not name.startswith(FAMILY), name != BUNDLED))


def label(model: ModelFiles) -> str:
    """A model in the list: its name, and whether it is installed."""
    if model.here:
        return f"{model.name} (bundled)" if not model.files else f"{model.name} (on this machine)"
    return f"{model.name} ({download_size(model)} to download)"


def download_size(model: ModelFiles) -> str:
    """The size of a model's files: `0.8 GB`."""
    return f"{model.parameters * BYTES_PER_PARAMETER / 1e9:.1f} GB"


def _about(model: ModelFiles) -> bool:
    """Show notes about a model; return whether it may be downloaded."""
    if model.note:
        st.caption(f":material/info: {plain(model.note)}")
    if model.here:
        return False
    return st.checkbox(
        f"Download {download_size(model)} from Google's public bucket first", key=FETCH
    )


def create(wish: Wish) -> Known:
    """Add a new collection to the list and start indexing the photos into it.

    Raises `FormError` for invalid input, `RegistryError`, and what `jobs.start_index` raises.
    """
    seen = look(wish.folder)
    if not seen.folder:
        raise FormError(seen.problem or "Choose a folder of photos.")
    count = count_photos(seen.folder)
    if count.whole and not count.photos:
        raise FormError(f"There are no photos in {shown(seen.folder)}; choose another folder.")
    model = next((model for model in list_models() if model.name == wish.model), None)
    if model is None:
        raise FormError(f"There is no model {wish.model}.")
    if not model.here and not wish.fetch:
        raise FormError(
            f"The model {model.name} is not installed; allow the download of "
            f"{download_size(model)}, or choose {BUNDLED} to try it out."
        )
    title = wish.title or _title(seen.folder)
    entries = known()
    if comparable(title) in {comparable(entry.title) for entry in entries}:
        raise FormError(f"A collection called {title} already exists; choose another name.")
    entry = register(_place(title, {entry.name for entry in entries}), title)
    try:
        jobs.start_index(
            entry.path,
            [seen.folder],
            model=model.name,
            tiles=SMALL_TILES if wish.small_things else None,
            fetch=wish.fetch,
        )
    except TipsError:
        forget(entry.name)
        raise
    return entry


def _place(title: str, taken: set[str]) -> Path:
    """The folder for a new collection: the default one while it is free, else one named by its
    title.
    """
    default = default_collection()
    if not default.exists() and not any(entry.path == default for entry in known()):
        return default
    around = data_folder() / "collections"
    here = {entry.name for entry in os.scandir(around)} if around.is_dir() else set()
    return around / unused(slug(title), taken | here)


def _title(folder: str) -> str:
    name = to_text(os.path.basename(to_bytes(folder))) or "Photos"
    return name[:LONGEST_TITLE]


def forget_form() -> None:
    """Clear the form for the next collection."""
    for key in (FOLDER, TITLE, MODEL, SMALL, FETCH):
        st.session_state.pop(key, None)
