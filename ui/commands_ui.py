"""`tips ui`: the app in the browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from ui.options import collection_option
from ui.render import say

APP = Path(__file__).with_name("app.py")


def streamlit_command(host: str, port: int, *, browser: bool) -> list[str]:
    """The command line that serves the app; the theme comes from `.streamlit/config.toml` beside
    it.
    """
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        f"--server.address={host}",
        f"--server.port={port}",
        f"--server.headless={'false' if browser else 'true'}",
        "--server.showEmailPrompt=false",
        "--logger.hideWelcomeMessage=true",  # and what the library advertises on the page
    ]


@click.command()
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    help="Address to listen on; the default is reachable from this machine only.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port to use."
)
@click.option("--browser/--no-browser", default=True, help="Open a browser window, or do not.")
@collection_option
@click.pass_context
def ui(ctx: click.Context, host: str, port: int, browser: bool, collection: Path) -> None:
    """Open the app in the browser: search, look at the places found, browse. Ctrl-C ends it.

    \b
    Example:
      tips ui
      tips ui -c ~/trip.tips --port 9000 --no-browser
    """
    say(f"Serving {collection} on http://{host}:{port} (Ctrl-C ends it)")
    # Whoever ends this process ends the server with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = os.environ | {"TIPS_COLLECTION": str(collection.absolute())}
    with subprocess.Popen(
        streamlit_command(host, port, browser=browser), env=environment
    ) as server:
        try:
            ctx.exit(server.wait())
        except KeyboardInterrupt:
            server.terminate()
            say("The app is closed; `tips ui` opens it again.")
