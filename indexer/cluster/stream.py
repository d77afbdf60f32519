"""The Ray Data pipeline: candidates go in, references of blocks with readings come out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from indexer.cluster.workers import Assignment, PhotoEmbedder, PhotoReader, PhotoWorker

if TYPE_CHECKING:
    import pyarrow as pa

_TRIES = 4
"""Maximum attempts at a batch whose worker died: a photo that kills every reader must eventually
end the run."""


class Staff(NamedTuple):
    """The worker processes. actors: processes that embed. readers: processes that read for them; 0
    when the actors also read. cpus: per reading process."""

    actors: int
    readers: int
    cpus: float


def stream(
    ray: Any, tables: Sequence[pa.Table], who: Staff, assignment: Assignment
) -> Generator[Any, None, None]:
    """References of blocks (`blocks.py`) as they finish, in any order.

    tables: from `blocks.found_tables`. Closing the generator stops the work.
    """
    if not ray.util.client.ray.is_connected():
        yield from _blocks(tables, who, assignment)
        return
    # Ray Data does not work through ray://, so a process of the cluster drives it.
    pump = ray.remote(num_cpus=0)(Pump).remote(tables, who, assignment)
    try:
        while blocks := ray.get(pump.take.remote()):
            yield from blocks
    finally:
        ray.kill(pump)


class Pump:
    """An actor that drives the stream for a process outside of the cluster."""

    def __init__(self, tables: Sequence[pa.Table], who: Staff, assignment: Assignment) -> None:
        self._stream = _blocks(tables, who, assignment)

    def take(self) -> list[Any]:
        """The next reference, in a list; an empty list at the end."""
        return [*islice(self._stream, 1)]


def _blocks(tables: Sequence[pa.Table], who: Staff, assignment: Assignment) -> Iterator[Any]:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True  # for `origin`
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors that matter are raised
    data = ray.data.from_arrow([*tables])
    if not who.readers:
        data = _stage(data, PhotoWorker, who.actors, assignment, num_cpus=who.cpus)
    else:
        data = _stage(data, PhotoReader, who.readers, assignment, num_cpus=who.cpus)
        data = _stage(data, PhotoEmbedder, who.actors, assignment, "cuda", num_cpus=0, num_gpus=1)
    for bundle in data.iter_internal_ref_bundles():
        for entry in bundle.blocks:
            yield entry.ref


def _stage(
    data: Any, worker: type, actors: int, assignment: Assignment, *more: str, **needs: Any
) -> Any:
    from ray.data import ActorPoolStrategy

    with warnings.catch_warnings():
        # The retry count has no dedicated parameter yet.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        return data.map_batches(
            worker,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_args=(assignment, *more),
            # Start with one: a busy cluster provides the others later.
            compute=ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
            max_task_retries=_TRIES - 1,
            **needs,
        )


def origin(error: BaseException, kind: type[BaseException]) -> Any:
    """The first exception of this kind raised by a worker, without Ray's wrapping; None if the
    error is Ray's own."""
    from ray.exceptions import RayError as ClusterError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kind) and not isinstance(seen, ClusterError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    return None
