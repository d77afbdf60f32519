"""Ray workers for `tips index`, set up from its options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.render import say

if TYPE_CHECKING:
    from indexer.cluster.engine import RayWorkers
    from indexer.collection import Collection


@contextmanager
def ray_workers(
    folder: Path, address: str | None, actors: int | None, gpus: bool | None, device: str
) -> Iterator[Callable[[Collection], RayWorkers] | None]:
    """A function that puts a Ray cluster to work on the collection in a folder; None without an
    address.

    Raises `click.UsageError` for options that do not go together, and `RayError` as `ray_session`.
    """
    if address is None:
        if actors is not None or gpus is not None:
            raise click.UsageError("--ray-actors and --ray-gpus go with --ray ADDRESS.")
        yield None
        return
    if device != "auto":
        raise click.UsageError("--device is for this machine; with --ray, say --ray-gpus.")
    from indexer.cluster.session import check_ray, ray_session
    from indexer.collection import Collection

    ray: Any = None  # for an existing collection: no model before there is work
    with ExitStack() as stack:

        def connect() -> Any:
            say(f"Ray at {address}")
            return stack.enter_context(ray_session(address))

        if Collection.exists(folder):
            check_ray(address)
        else:
            ray = connect()

        def employ(collection: Collection) -> RayWorkers:
            from indexer.cluster.engine import RayWorkers

            opened = collection.model.open
            return RayWorkers(
                lambda: ray or connect(), collection, opened, actors=actors, gpus=gpus
            )

        yield employ
