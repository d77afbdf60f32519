"""`tips serve`: run the HTTP search service."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from ui.options import LOCAL_HOSTS, default_collection, device_option
from ui.render import say

TOKEN = "TIPS_TOKEN"


def usual_collection() -> tuple[Path, ...]:
    """The default collection to serve: $TIPS_COLLECTION, else the user's own."""
    named = os.environ.get("TIPS_COLLECTION")
    return (Path(named) if named else default_collection(),)


@click.command()
@click.option(
    "-c",
    "--collection",
    "collections",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    default=usual_collection,
    metavar="DIR",
    help="Folder of a collection; repeatable, and the first is the default of requests. If not "
    "given: $TIPS_COLLECTION, or the user's data folder.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any but localhost requires a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 picks a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"Require a bearer token: a line of this file, or ${TOKEN}.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Accept requests to this host name, besides localhost.  [default: any name, unless it "
    "listens on localhost]",
)
@click.option(
    "--cors",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Allow requests from web pages of this origin, such as https://photos.example.org.  "
    "[default: none]",
)
@click.option(
    "--rate-limit",
    "rate",
    default="50/second;1200/minute",
    show_default=True,
    metavar="RATE",
    help="Requests allowed per address; 'off' for no limit.",
)
@click.option(
    "--allow-index",
    "index_roots",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Allow index jobs for folders below this one.  [default: none]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    metavar="N",
    help="Searches that run at the same time.",
)
@click.option(
    "--queue",
    type=click.IntRange(0, 10_000),
    default=64,
    show_default=True,
    metavar="N",
    help="Searches that may wait; further ones get a 503.",
)
@click.option(
    "--max-upload",
    type=click.IntRange(1, 1024),
    default=32,
    show_default=True,
    metavar="MIB",
    help="Largest picture in a request.",
)
@click.option(
    "--trust-proxy",
    metavar="ADDRESS",
    help="Trust this proxy's X-Forwarded-For header.",
)
@click.option("--log-queries", is_flag=True, help="Include queries in the log.")
@device_option
@click.pass_context
def serve(
    ctx: click.Context,
    collections: tuple[Path, ...],
    host: str,
    port: int,
    token_file: Path | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    rate: str,
    index_roots: tuple[Path, ...],
    workers: int,
    queue: int,
    max_upload: int,
    trust_proxy: str | None,
    log_queries: bool,
    device: str,
) -> None:
    """Serve searches over HTTP, for other programs. Stop with Ctrl-C.

    /docs describes the API, /healthz and /readyz report health, /metrics has metrics. The log goes
    to stderr, one line of JSON per request.

    \b
    Example:
      tips serve
      tips serve -c ~/trip.tips -c ~/work.tips --port 9000
      TIPS_TOKEN=$(openssl rand -hex 24) tips serve --host 0.0.0.0
      tips serve --allow-index /photos --rate-limit 10/second
    """
    from indexer.collection import Collection

    tokens = take_tokens(token_file)
    local = host in LOCAL_HOSTS
    if not local and not tokens:
        raise click.UsageError(
            f"{host} is reached from other machines, so a token is needed: set {TOKEN} or give "
            "--token-file."
        )
    check_rate(rate)
    check_origins(origins)
    check_hosts(hosts)
    check_proxy(trust_proxy)
    if ctx.get_parameter_source("collections") is ParameterSource.COMMANDLINE:
        for folder in collections:
            Collection.open(folder)  # the service would wait for a mistyped folder
    from ui.options import pick_device
    from ui.service.access_log import log_to_stderr
    from ui.service.context import Service
    from ui.service.metrics import Metrics
    from ui.service.open_collections import Engines
    from ui.service.server import bind
    from ui.service.server import serve as run
    from ui.service.settings import Settings

    settings = Settings(
        tokens=tokens,
        hosts=(*LOCAL_HOSTS, *hosts) if local or hosts else ("*",),
        origins=origins,
        rate="" if rate == "off" else rate,
        index_roots=index_roots,
        workers=workers,
        queue=queue,
        upload_bytes=max_upload << 20,
        log_queries=log_queries,
    )
    with bind(host, port) as listening:
        address = f"[{host}]" if ":" in host else host
        place = f"http://{address}:{listening.getsockname()[1]}"
        metrics = Metrics()
        engines = Engines(collections, device=pick_device(device), metrics=metrics)
        log_to_stderr()
        say(f"Serving {', '.join(each.name for each in engines.all)} on {place} (Ctrl-C ends it)")
        # The server raises the signal again after a clean shutdown.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            run(listening, Service(engines, settings, metrics), proxy=trust_proxy)
        except KeyboardInterrupt:
            say("The service has ended.")


def take_tokens(file: Path | None) -> tuple[str, ...]:
    """The tokens from the environment and from a file, one per line; `#` starts a comment line. The
    environment variable is removed: index jobs and decoders do not need it.

    Raises `click.UsageError` for a token that could be guessed, or a file without any.
    """
    from ui.service.settings import SHORTEST_TOKEN

    named = [os.environ.pop(TOKEN, "").strip()]
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
        except ValueError as error:
            raise click.UsageError(f"{file} is no text.") from error
        named += [line for line in lines if not line.startswith("#")]
        if not any(named[1:]):
            raise click.UsageError(f"{file} has no token; write one on a line.")
    tokens = tuple(token for token in named if token)
    if any(len(token) < SHORTEST_TOKEN for token in tokens):
        raise click.UsageError(
            f"A token needs at least {SHORTEST_TOKEN} characters; `openssl rand -hex 24` makes one."
        )
    if not all(token.isascii() and token.isprintable() for token in tokens):
        raise click.UsageError("A token is made of ASCII characters, as headers are.")
    return tokens


def check_rate(rate: str) -> None:
    """Raises `click.UsageError` for an invalid rate."""
    from limits import parse_many

    if rate == "off":
        return
    try:
        limits = parse_many(rate)
    except ValueError as error:
        raise click.UsageError(
            f"--rate-limit {rate!r} cannot be read; write it as in '50/second;1200/minute', or "
            "'off'."
        ) from error
    if not all(limit.amount for limit in limits):
        raise click.UsageError(f"--rate-limit {rate!r} lets nobody ask; 'off' is for any number.")


def check_origins(origins: Sequence[str]) -> None:
    """Raises `click.UsageError` for an invalid origin, which would never match."""
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and not (parts.netloc and origin == f"{parts.scheme}://{parts.netloc}"):
            raise click.UsageError(
                f"--cors {origin!r} is no origin; write it as in https://photos.example.org, "
                "without a path."
            )


def check_hosts(hosts: Sequence[str]) -> None:
    """Raises `click.UsageError` unless all are bare host names or "*"; others would never match."""
    for host in hosts:
        parts = urlsplit(f"//{host}")
        if host != "*" and (parts.netloc != host or parts.hostname != host.strip("[]").lower()):
            raise click.UsageError(
                f"--allow-host {host!r} is no name of a host; write it as in photos.example.org, "
                "without a port."
            )


def check_proxy(proxy: str | None) -> None:
    """Raises `click.UsageError` for an invalid address or network, which would never match a
    client.
    """
    try:
        if proxy not in (None, "*"):
            ip_network(proxy, strict=False)
    except ValueError as error:
        raise click.UsageError(
            f"--trust-proxy {proxy!r} is no address; write it as in 10.0.0.2 or 10.0.0.0/24."
        ) from error
