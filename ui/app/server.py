"""The server of the app: the page, and the pictures beside it.

tips ui -c DIR      (`streamlit run ui/app/server.py`, with `.streamlit/config.toml` beside it)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streamlit.starlette import App

from ui.app import media


@asynccontextmanager
async def loading(_: App) -> AsyncIterator[None]:
    """Import what the first view needs before the server answers: it takes a second or two."""
    import ui.app.collections_page
    import ui.app.photos_page  # noqa: F401, RUF100 (for their side effect)

    yield


app = App(Path(__file__).with_name("main.py"), lifespan=loading, routes=media.routes())
