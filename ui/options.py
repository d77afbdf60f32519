"""Click options shared by several commands, and the default collection's folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, get_origin

import click

from indexer.photos.limits import (
    LEAST_MEMORY,
    MAX_BYTES,
    MAX_MEMORY,
    MAX_PIXELS,
    MAX_SECONDS,
    Limits,
)
from search.request import SUBJECT, Request
from ui.render import print_results, say

if TYPE_CHECKING:
    from indexer.write_lock import Patience

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
MOST_TILES = 4
QUANTIZATIONS = ("int8", "turbo8", "turbo4", "binary", "none")  # values of `ServerLayout`
RANGES = {"limit": click.IntRange(1, 10_000)}  # bounds of the numeric fields of `Request`
METAVARS = {"filter": "EXPR", "cursor": "NEXT"}
STOPPED = 130  # what a shell reports for a program that was stopped by Ctrl-C
Show = Callable[..., None]  # `print_results` in the requested format
Command = TypeVar("Command", bound=Callable[..., Any])


def default_collection() -> Path:
    """The folder `collection` in the user's data folder for this program."""
    from platformdirs import user_data_path

    return user_data_path("tips-search") / "collection"


class RootType(click.ParamType["str | Path"]):
    """A folder, or the URL of a folder on object storage, which stays a text."""

    name = "path"

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """`s3://bucket/photos` unchanged, anything else as a path."""
        return value if isinstance(value, str) and "://" in value else Path(value)


collection_option = click.option(
    "-c",
    "--collection",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TIPS_COLLECTION",
    default=default_collection,
    metavar="DIR",
    help="Folder of the collection.  [default: $TIPS_COLLECTION, or the user's data folder]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Device for the model.",
)

progress_file_option = click.option(
    "--progress-file",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,
    help="Where to write how far it is, for the app (see `ui.progress_file`).",
)

weights_option = click.option(
    "--weights",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Folder with the model's files, instead of the downloaded ones.",
)

exclude_option = click.option(
    "--exclude-dir",
    "exclude",
    multiple=True,
    metavar="NAME",
    help="Skip folders with this name, also in later runs; repeatable.",
)

include_option = click.option(
    "--include-dir",
    "include",
    multiple=True,
    metavar="NAME",
    help="Stop skipping folders with this name; repeatable.",
)


hidden_option = click.option(
    "--include-hidden", is_flag=True, help="Include files and folders that begin with a dot."
)


class Number(click.FloatRange):
    """A number within bounds; rejects `nan`, which passes every range check."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Text to a number; an invalid one ends the command with code 2."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


wait_option = click.option(
    "--wait",
    type=Number(0),
    metavar="[SECONDS]",
    help="If another process writes the collection, wait for it, at most this long.",
)


class WaitingCommand(click.Command):
    """A command with `wait_option`, whose SECONDS may be omitted: wait without limit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A bare `--wait` becomes `--wait=inf`; the next word is a separate argument."""
        return super().parse_args(ctx, list(_with_seconds(args)))


def _with_seconds(args: Sequence[str]) -> Iterator[str]:
    rest = args[args.index("--") :] if "--" in args else []
    own = args[: len(args) - len(rest)]
    for word, following in zip(own, [*own[1:], ""], strict=False):
        yield "--wait=inf" if word == "--wait" and not _is_number(following) else word
    yield from rest


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def patience_of(wait: float | None) -> Patience:
    """What `--wait` requests; prints on stderr which process is waited for."""
    from indexer.write_lock import NO_PATIENCE, Patience

    return NO_PATIENCE if wait is None else Patience(wait, say)


tiles_option = click.option(
    "--tiles",
    type=click.IntRange(1, MOST_TILES),
    metavar="T",
    help="Also look at each photo in T x T overlapping windows: finds small things, takes 1 + T "
    "x T times as long. For a new collection.  [default: 1]",
)

regions_option = click.option(
    "--max-regions",
    type=click.IntRange(1, 255),
    metavar="N",
    help="Regions per photo, each a vector. For a new collection.  [default: 16, with tiles 32]",
)


def limit_options(command: Command) -> Command:
    """Limits for decoding one photo; the command gets `limits`, an
    `indexer.photos.limits.Limits`.
    """
    options = [
        click.option(
            "--max-megapixels",
            type=Number(0.1),
            default=round(MAX_PIXELS / 1e6),
            show_default=True,
            metavar="MP",
            help="Skip larger photos before decoding them.",
        ),
        click.option(
            "--max-file-size",
            type=Number(0.001),
            default=round(MAX_BYTES / 1e6),
            show_default=True,
            metavar="MB",
            help="Skip larger files before reading them.",
        ),
        click.option(
            "--photo-seconds",
            type=Number(0.1),
            default=round(MAX_SECONDS),
            show_default=True,
            metavar="S",
            help="Skip photos that take longer to decode.",
        ),
        click.option(
            "--photo-memory",
            type=Number(LEAST_MEMORY // 10**6),
            default=round(MAX_MEMORY / 1e6),
            show_default=True,
            metavar="MB",
            help="Skip photos that need more memory to decode.",
        ),
    ]

    @wraps(command)
    def limited(
        *args: Any,
        max_megapixels: float,
        max_file_size: float,
        photo_seconds: float,
        photo_memory: float,
        **others: Any,
    ) -> Any:
        limits = Limits(
            pixels=round(max_megapixels * 1e6),
            bytes=round(max_file_size * 1e6),
            seconds=photo_seconds,
            memory=round(photo_memory * 1e6),
        )
        return command(*args, limits=limits, **others)

    result = cast(Command, limited)
    for option in reversed(options):
        result = option(result)
    return result


qdrant_option = click.option(
    "--qdrant",
    metavar="URL",
    help="Store the vectors on this Qdrant server; set its key in $QDRANT_API_KEY.",
)


def layout_options(command: Command) -> Command:
    """The vector layout on a Qdrant server: the command gets `layout`, the given options under the
    names of `ServerLayout`.
    """
    options = [
        click.option(
            "--shards",
            type=click.IntRange(1),
            metavar="N",
            help="On a server: shards per collection.  [default: one for each node]",
        ),
        click.option(
            "--replicas",
            type=click.IntRange(1),
            metavar="N",
            help="On a server: copies of each shard.  [default: 1]",
        ),
        click.option(
            "--write-consistency",
            type=click.IntRange(1),
            metavar="N",
            help="On a server: copies that must confirm a write.  [default: 1]",
        ),
        click.option(
            "--quantization",
            type=click.Choice(QUANTIZATIONS),
            help="On a server: quantization of the search; hits are rescored with the vectors.  "
            "[default: int8]",
        ),
    ]

    @wraps(command)
    def laid_out(
        *args: Any,
        shards: int | None,
        replicas: int | None,
        write_consistency: int | None,
        quantization: str | None,
        **others: Any,
    ) -> Any:
        asked = {
            "shards": shards,
            "replicas": replicas,
            "write_consistency": write_consistency,
            "quantization": quantization,
        }
        layout = {name: value for name, value in asked.items() if value is not None}
        return command(*args, layout=layout, **others)

    result = cast(Command, laid_out)
    for option in reversed(options):
        result = option(result)
    return result


class _Picture(click.Path):
    """A file that exists, whichever form its accents are typed in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path as it was typed if something is there, else as the disk lists it."""
        if not Path(value).exists():
            from indexer.folders.roots import existing  # with Polars, which most calls do not need

            found = existing(Path(value).absolute())
            value = found if found.exists() else value
        return super().convert(value, param, ctx)


image_option = click.option(
    "--image",
    "images",
    type=_Picture(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Find photos like this picture; with TEXT, both count.",
)


def field_option(name: str) -> Callable[[Command], Command]:
    """The option for a field of `Request` that is a number, a text, a boolean or a choice."""
    field = Request.model_fields[name]
    form: dict[str, Any] = {"metavar": METAVARS.get(name, "TEXT")}
    if field.annotation is bool:
        form = {"is_flag": True}
    elif field.annotation is int:
        form = {"type": RANGES.get(name, click.IntRange(0)), "show_default": True, "metavar": "N"}
    elif get_origin(field.annotation) is Literal:
        form = {"type": click.Choice(get_args(field.annotation)), "show_default": True}
    short = ("-n",) if name == "limit" else ()
    return click.option(
        *short, f"--{name}", name, default=field.default, help=field.description, **form
    )


def result_options(command: Command, *, without: Sequence[str] = ()) -> Command:
    """The options of the commands that print hits: how many, which, and in what format.

    The first ones are fields of `Request` with its descriptions, except those in `without`. Two
    formats at once raise `click.UsageError` before the command runs.
    """
    fields = [name for name in Request.model_fields if name not in {*SUBJECT, *without}]
    options = [
        *map(field_option, fields),
        click.option("-f", "--paths-only", is_flag=True, help="Print only paths, one a line."),
        click.option(
            "-0", "--print0", is_flag=True, help="Print only paths, each followed by a NUL byte."
        ),
        json_option,
        device_option,
        collection_option,
    ]

    @wraps(command)
    def checked(*args: Any, as_json: bool, paths_only: bool, print0: bool, **others: Any) -> Any:
        if as_json and (paths_only or print0):
            other = "--print0" if print0 else "--paths-only"
            raise click.UsageError(f"--json and {other} exclude each other; drop one of them.")
        show = partial(print_results, as_json=as_json, paths_only=paths_only, print0=print0)
        return command(*args, show=show, **others)

    result = cast(Command, checked)
    for option in reversed(options):
        result = option(result)
    return result


def pick_device(name: str) -> str:
    """The device to run on: `name` itself, or for "auto" the best that this machine has."""
    if name != "auto":
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
