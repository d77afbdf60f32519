"""The export menu: results as a table, as annotations, or as copies. Originals are only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import streamlit as st

from search.export.coco import CocoFormat
from search.export.files import ZipFormat
from search.export.formats import CsvFormat, Format, JsonFormat, encoded
from ui.app import media, query_controls
from ui.app.gallery import chosen
from ui.app.library import Library, Rows
from ui.app.page_results import Answer, every_hit
from ui.app.state import View
from ui.formatting import counted

Make = Callable[[], Format]


def show_taking(library: Library, view: View, answer: Answer) -> None:
    """Choose what to export, and in which format."""
    marked = list(chosen())
    with st.popover(
        f"Export {len(marked):,} selected" if marked else "Export",
        icon=":material/download:",
        key="export",
        on_change="rerun",
        disabled=not marked and not answer.total,
    ) as popover:
        if not popover.open:
            return
        rows = library.rows_of(marked) if marked else answer.rows
        which = " selected" if marked else " found" if view.asks else ""
        st.markdown(f"**{counted(len(rows), 'photo')}{which}**")
        _links(library, view, rows)
        if marked and st.button("Clear selection", icon=":material/deselect:"):
            chosen().clear()
            st.rerun()


def _links(library: Library, view: View, rows: Rows) -> None:
    picture = query_controls.picture(view)
    kept = np.array(rows)

    def content(make: Make) -> Iterator[bytes]:
        return encoded(make(), every_hit(library, view, picture, kept))

    model = library.collection.model.model_id
    words = view.q or library.query_text(view) or "photos"
    forms: tuple[tuple[str, str, str, Make], ...] = (
        ("Table (CSV)", "photos.csv", "text/csv", CsvFormat),
        ("JSON", "photos.json", "application/json", partial(JsonFormat, words, model)),
        (
            "Places as COCO annotations",
            "annotations.json",
            "application/json",
            partial(CocoFormat, words),
        ),
        ("Copies of the photos (zip)", "photos.zip", "application/zip", ZipFormat),
    )
    for label, name, kind, make in forms:
        address = media.offer(media.Download(name, kind, partial(content, make)))
        st.link_button(label, address, icon=":material/download:", width="stretch")
    st.caption("Your originals are never changed. The links work for an hour.")
