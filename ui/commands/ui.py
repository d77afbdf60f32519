"""`tips ui`: start the app and open it in the browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from ui.options import LOCAL_HOSTS, collection_option
from ui.render import say

SERVER = Path(__file__).parents[1] / "app" / "server.py"


def streamlit_command(
    host: str, port: int, *, browser: bool, secrets: Path | None = None
) -> list[str]:
    """The command line that runs the app; the theme comes from `.streamlit/config.toml` beside it.

    secrets: the file that configures the login (see `ui.app.access`); None uses Streamlit's default
    locations.
    """
    return [
        # -P: do not import modules from the working directory, which may hold untrusted files.
        *(sys.executable, "-P", "-m", "streamlit", "run", str(SERVER)),
        f"--server.address={host}",
        f"--server.port={port}",
        f"--server.headless={'false' if browser else 'true'}",
        "--server.showEmailPrompt=false",
        "--logger.hideWelcomeMessage=true",  # and the library's own promotion on the page
        *([f"--secrets.files={secrets.absolute()}"] if secrets else []),
    ]


@click.command()
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    help="Address to listen on; the default is reachable only from this machine.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port."
)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
@click.option(
    "--manage/--no-manage",
    default=None,
    help="Allow the app to create, change and switch collections.  [default: if only this "
    "machine can reach it]",
)
@click.option(
    "--secrets",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Require the password or login described in this TOML file.",
)
@collection_option
@click.pass_context
def ui(
    ctx: click.Context,
    host: str,
    port: int,
    browser: bool,
    manage: bool | None,
    secrets: Path | None,
    collection: Path,
) -> None:
    """Open the app in the browser to search and browse. Stop with Ctrl-C.

    Anyone who can reach it can see all photos of the collection: set a password (a file with the
    line `password = "..."`) before you let others in.

    \b
    Example:
      tips ui
      tips ui -c ~/trip.tips --port 9000 --no-browser
      tips ui -c ~/trip.tips --host 0.0.0.0 --secrets trip.toml
    """
    from indexer.collection import Collection
    from ui.open_collection import remember

    if secrets is not None:
        check_secrets(secrets)
    if Collection.exists(collection):
        remember(collection)
    managed = host in LOCAL_HOSTS if manage is None else manage
    if managed and host not in LOCAL_HOSTS and secrets is None:
        say("Whoever reaches this page may index folders of this machine; see --secrets.", "yellow")
    say(f"Serving {collection} on http://{host}:{port} (Ctrl-C ends it)")
    # Ending this process also ends the server. The Ctrl-C handler is set again because Polars, once
    # loaded, restarts interrupted system calls: waiting for the server would not end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    environment = os.environ | {
        "TIPS_COLLECTION": str(collection.absolute()),
        "TIPS_MANAGE": "1" if managed else "0",
        # "[" is what Starlette parses from [::1]:8501. Other addresses accept any host name.
        "TIPS_HOSTS": "localhost,127.0.0.1,[" if host in LOCAL_HOSTS else "*",
    }
    command = streamlit_command(host, port, browser=browser, secrets=secrets)
    with subprocess.Popen(command, env=environment) as server:
        try:
            ctx.exit(server.wait())
        except KeyboardInterrupt:
            server.terminate()
            say("The app is closed; `tips ui` opens it again.")


def check_secrets(file: Path) -> None:
    """Reject a secrets file without a login: Streamlit would start unprotected."""
    import tomllib

    try:
        secrets = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file} cannot be read ({error}).") from error
    if not secrets.get("password") and not secrets.get("auth"):
        raise click.UsageError(f"{file} has neither a password nor a section [auth].")
    if file.suffix != ".toml":
        raise click.UsageError(f"{file} has to be called .toml: Streamlit reads no other name.")
