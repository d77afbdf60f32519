"""The page of collections alone, for tests: `streamlit run` it, or give it to `AppTest`."""

from __future__ import annotations

import streamlit as st

from ui.app.collections_page import show_collections

st.set_page_config(page_title="tips-search", layout="wide")
show_collections()
