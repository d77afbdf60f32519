"""The page of collections: the list, indexing progress, and actions on each collection.

    show_collections(search_page)        # called by the app's navigation

If the page is not managed (see `ui.app.collection_choice.managed`), it shows the open collection
only, without paths.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from tips_model.errors import TipsError
from ui import jobs
from ui.app.collection_choice import choose, chosen, managed, offered, started_with
from ui.app.collection_facts import Facts, facts, failures
from ui.app.folder_field import folder_field, look
from ui.app.job_panel import said_key, show_job
from ui.app.new_collection import forget_form, show_form
from ui.formatting import counted, day, file_size, plain, shown
from ui.registry import Known, RegistryError, forget

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

STYLE = Path(__file__).with_name("collections.css")
FAILURES = 20  # unreadable files per page
UNMANAGED = (
    "Collections can only be managed on the machine that serves this page, since others can "
    "reach it; start `tips ui` with `--manage` to allow it here."
)


def show_collections(search_page: StreamlitPage | None = None) -> None:
    """Draw the page. `search_page` is the target of "Open"; None stays here."""
    st.html(STYLE)
    manage = managed()
    if st.session_state.pop("new-made", False):
        forget_form()
        st.session_state["new-open"] = False
    st.markdown("### Collections")
    if not manage:
        st.info(UNMANAGED, icon=":material/lock:")
    entries = _entries()
    if manage:
        _show_new(first=not entries)
    current = _current()
    for entry in entries:
        _show_card(entry, search_page, current=entry.name == current, manage=manage)


def _entries() -> tuple[Known, ...]:
    try:
        return offered()
    except RegistryError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        started = started_with()
        return (started,) if started.present else ()


def _current() -> str:
    try:
        return chosen().name
    except RegistryError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return ""


def _show_new(*, first: bool) -> None:
    if first:
        st.markdown("No collections yet. Create one from a folder of photos.")
    fold = st.expander(
        "New collection",
        icon=":material/create_new_folder:",
        expanded=first,
        key="new-open",
        on_change="rerun",
    )
    if fold.open:
        with fold:
            show_form()


def _show_card(
    entry: Known, search_page: StreamlitPage | None, *, current: bool, manage: bool
) -> None:
    with st.container(border=True, key=f"collection-{entry.name}", gap="xsmall"):
        _head(entry, search_page, current=current)
        known_facts = None
        try:
            known_facts = facts(entry) if entry.present else None
        except TipsError as error:
            st.error(plain(str(error)), icon=":material/folder_off:")
        else:
            _say(entry, known_facts, manage=manage)
        _refused(entry)
        try:
            show_job(entry, manage=manage)
            job = jobs.find(entry.path)
        except TipsError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        if manage:
            _actions(entry, known_facts, busy=job is not None and job.active)
            if known_facts is not None and known_facts.failed:
                _show_failures(entry, known_facts.failed)


def _head(entry: Known, search_page: StreamlitPage | None, *, current: bool) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        here = '<span class="tips-here">open</span>' if current and entry.present else ""
        title = html.escape(shown(entry.title))
        st.html(f'<h4 class="tips-collection">{title}{here}</h4>', width="content")
        if entry.present and st.button(
            "Open", key=f"open-collection-{entry.name}", icon=":material/image_search:"
        ):
            choose(entry)
            if search_page is not None:
                st.switch_page(search_page, query_params={"in": entry.name})
            st.rerun()


def _say(entry: Known, known_facts: Facts | None, *, manage: bool) -> None:
    if known_facts is None:
        where = f" in {shown(entry.folder)}" if manage else ""
        job = jobs.find(entry.path)
        if job is None:
            st.markdown(
                f":material/folder_off: {plain(f'There is no collection{where}.')} Connect its "
                "disk, or remove the entry."
            )
        return
    parts = [counted(known_facts.photos, "photo")]
    if known_facts.failed:
        parts.append(f"{known_facts.failed:,} could not be read")
    parts.append(known_facts.model)
    if known_facts.tiles > 1:
        parts.append("finds small things")
    parts += [f"changed {day(known_facts.changed)}", file_size(known_facts.size)]
    st.caption(plain(" · ".join(parts)))
    if manage and known_facts.roots:
        roots = "".join(f"<li>{html.escape(shown(root))}</li>" for root in known_facts.roots)
        st.html(f'<ul class="tips-roots" aria-label="Folders of photos">{roots}</ul>')
    if known_facts.note:
        st.caption(f":material/info: {plain(known_facts.note)}")


def _refused(entry: Known) -> None:
    sentence = st.session_state.pop(said_key(entry), "")
    if sentence:
        st.warning(plain(sentence), icon=":material/block:")


def _actions(entry: Known, known_facts: Facts | None, *, busy: bool) -> None:
    name = entry.name
    with st.container(key=f"actions-{name}", horizontal=True, gap="small"):
        if known_facts is not None:
            _action("Update now", "sync", entry, jobs.start_index, disabled=busy)
            if known_facts.failed:
                _action("Retry failed", "restart_alt", entry, _retry, disabled=busy)
            _action("Rebuild", "build", entry, jobs.start_rebuild, disabled=busy)
            adding = st.popover(
                "Add folder",
                icon=":material/create_new_folder:",
                key=f"add-{name}",
                on_change="rerun",
                disabled=busy,
            )
            if adding.open:
                with adding:
                    _add_folder(entry)
        if not busy and name != started_with().name:
            st.button(
                "Forget",
                key=f"forget-{name}",
                icon=":material/playlist_remove:",
                type="tertiary",
                help="Remove it from this list; the collection and the photos are kept.",
                on_click=_forget,
                args=(entry,),
            )


def _action(
    label: str, icon: str, entry: Known, act: Callable[[Path], object], *, disabled: bool
) -> None:
    st.button(
        label,
        key=f"{label}-{entry.name}",
        icon=f":material/{icon}:",
        disabled=disabled,
        on_click=_try,
        args=(entry, act),
    )


def _try(entry: Known, act: Callable[[Path], object]) -> None:
    try:
        act(entry.path)
    except TipsError as error:
        st.session_state[said_key(entry)] = str(error)


def _retry(folder: Path) -> None:
    jobs.start_index(folder, retry_failed=True)


def _forget(entry: Known) -> None:
    _try(entry, jobs.dismiss)
    _try(entry, lambda folder: forget(entry.name))


@st.fragment
def _add_folder(entry: Known) -> None:
    folder = folder_field("Folder of photos", f"more-{entry.name}")
    if st.button(
        "Add and index",
        key=f"more-go-{entry.name}",
        type="primary",
        disabled=not folder,
        on_click=_add,
        args=(entry,),
    ):
        st.rerun()  # rerun the whole page: a job runs now


def _add(entry: Known) -> None:
    typed = str(st.session_state.get(f"more-{entry.name}") or "")
    folder = look(typed).folder
    if folder:
        _try(entry, lambda path: jobs.start_index(path, [folder]))
        st.session_state[f"add-{entry.name}"] = False
        st.session_state[f"more-{entry.name}"] = ""


def _show_failures(entry: Known, failed: int) -> None:
    label = f"{counted(failed, 'photo')} could not be read"
    fold = st.expander(label, key=f"failures-{entry.name}", on_change="rerun")
    if fold.open:
        with fold:
            _failures_page(entry, failed)


@st.fragment
def _failures_page(entry: Known, failed: int) -> None:
    pages = max(1, -(-failed // FAILURES))
    page = 1
    if pages > 1:
        page = int(
            st.number_input(
                f"Page (of {pages:,})", 1, pages, key=f"failures-page-{entry.name}", width=180
            )
        )
    try:
        rows = failures(entry, (page - 1) * FAILURES, FAILURES)
    except TipsError as error:
        st.error(plain(str(error)))
        return
    lines = "".join(
        f"<tr><td>{html.escape(shown(row.path))}</td><td>{html.escape(row.reason)}</td></tr>"
        for row in rows
    )
    head = "<thead><tr><th scope=col>File</th><th scope=col>Reason</th></tr></thead>"
    st.html(f'<table class="tips-failures">{head}<tbody>{lines}</tbody></table>')
