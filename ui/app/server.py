"""The app's web server: the Streamlit page, and the picture routes beside it.

tips ui -c DIR      (`streamlit run ui/app/server.py`, with `.streamlit/config.toml` beside it)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit.starlette import App

from ui.app import media


@asynccontextmanager
async def loading(_: App) -> AsyncIterator[None]:
    """Import what the first view needs before the server answers: it takes a second or two."""
    import ui.app.collections_page
    import ui.app.photos_page  # noqa: F401, RUF100 (for their side effect)

    yield


# A web page can point its own host name to this machine (DNS rebinding) and then send requests as
# if it were this app's page, but its Host header has that name.
hosts = os.environ.get("TIPS_HOSTS", "*").split(",")
app = App(
    Path(__file__).with_name("main.py"),
    lifespan=loading,
    routes=media.routes(),
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
)
