"""A page behind the gate, for tests."""

from __future__ import annotations

import streamlit as st

from ui.app.access import admitted

if admitted():
    st.markdown("the photos")
