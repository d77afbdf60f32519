"""The server of the app: the page, the pictures beside it, and what is loaded before the first
search.

tips ui -c DIR      (`streamlit run ui/app/server.py`, with `.streamlit/config.toml` beside it)
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streamlit.starlette import App

from ui.app import media


@asynccontextmanager
async def loading(_: App) -> AsyncIterator[None]:
    """Import what every view needs before the server answers, and what a search needs meanwhile."""
    import search.browse  # noqa: F401, RUF100 (LanceDB takes a second or two)

    threading.Thread(target=_import_search, name="import", daemon=True).start()
    yield


def _import_search() -> None:
    import search.searcher  # noqa: F401, RUF100 (torch takes two seconds or more)


app = App(Path(__file__).with_name("main.py"), lifespan=loading, routes=media.routes())
