"""Which collections the page offers, and which one this session uses.

The URL holds its name (`?in=holiday`). Without one, it is the session's last collection, then the
one with which the app was started.
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from ui.options import LOCAL_HOSTS, default_collection
from ui.registry import Known, RegistryError, described, find_folder, known

PARAMETER = "in"
REMEMBERED = "chosen-collection"


class UnknownCollectionError(RegistryError):
    """The URL names a collection that is not offered here."""


def managed() -> bool:
    """Whether this page may create, change and switch collections: $TIPS_MANAGE (0 or 1), else
    whether only this machine can reach it.
    """
    asked = os.environ.get("TIPS_MANAGE")
    if asked:
        return asked == "1"
    return st.get_option("server.address") in LOCAL_HOSTS


def started_with() -> Known:
    """The collection of `tips ui -c DIR`, or the default one; it need not exist.

    It is available even when the list of collections cannot be read; the page of collections
    reports that.
    """
    folder = Path(os.environ.get("TIPS_COLLECTION") or default_collection())
    try:
        return find_folder(folder) or described(folder, taken={entry.name for entry in known()})
    except RegistryError:
        return described(folder)


def offered() -> tuple[Known, ...]:
    """The collections to choose from: all known ones if the page is managed, else only the one with
    which the app was started, so that no other collection is exposed.

    Raises `RegistryError`.
    """
    started = started_with()
    if not managed():
        return (started,)
    entries = known()
    return entries if started in entries or not started.present else (started, *entries)


def chosen() -> Known:
    """The collection of this session; its folder may be gone.

    Raises `UnknownCollectionError` for a name that is not offered, and `RegistryError`.
    """
    name = st.query_params.get(PARAMETER) or st.session_state.get(REMEMBERED)
    started = started_with()
    if not name:
        return started
    if name == started.name:
        entry: Known | None = started
    else:
        entry = next((entry for entry in offered() if entry.name == name), None)
    if entry is None:
        st.session_state.pop(REMEMBERED, None)
        raise UnknownCollectionError(
            f"There is no collection '{name}' here; choose one on the Collections page."
        )
    choose(entry)
    return entry


def choose(entry: Known) -> None:
    """Switch the session to this collection, and put its name into the URL."""
    st.session_state[REMEMBERED] = entry.name
    if st.query_params.get(PARAMETER) != entry.name:
        st.query_params[PARAMETER] = entry.name
