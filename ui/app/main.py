"""The app's entry script: navigation between the page of photos and the page of collections.

tips ui -c DIR          (`ui/app/server.py` serves it)
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.app.access import admitted
from ui.app.collections_page import show_collections
from ui.app.photos_page import show_photos

STYLE = Path(__file__).with_name("page.css")
ICON = Path(__file__).with_name("icon.png")  # a named one would be fetched from a server


def page() -> None:
    """Draw the page that the URL names."""
    st.set_page_config(page_title="tips-search", page_icon=ICON, layout="wide")
    st.html(STYLE)
    if not admitted():
        return
    photos = st.Page(show_photos, title="Photos", icon=":material/photo_library:", default=True)
    collections = st.Page(
        lambda: show_collections(photos),
        title="Collections",
        icon=":material/folder_managed:",
        url_path="collections",
    )
    st.navigation([photos, collections], position="top").run()


page()
