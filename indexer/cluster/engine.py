"""Index on a Ray cluster: Ray Data reads and embeds, workers write, this process commits.

    with ray_session("auto") as ray:
        workers = RayWorkers(lambda: ray, collection, collection.model.open)
        index(collection, roots, embedder, workers=workers)

The driver holds the collection's lock and the ledger. It receives only the ledger's columns of each
photo, decides which rows are new, and lets the machines that hold them write them as fragments of
the catalog. A batch is one commit, as without Ray, so a killed driver loses only uncommitted work:
seconds, not hours. A killed worker is restarted, and its batch is retried.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.cluster.blocks import found_tables, light_readings
from indexer.cluster.session import first_line
from indexer.cluster.stream import Staff, origin, stream
from indexer.cluster.tasks import ledger_part, write_rows
from indexer.cluster.workers import Assignment
from indexer.errors import RayError
from indexer.folders.storage import is_url

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from indexer.catalog.rows import Link, PhotoRow
    from indexer.catalog.table import Catalog
    from indexer.collection import Collection
    from indexer.options import IndexOptions
    from indexer.photo_reader import Reading
    from tips_model.features import Embedder

_CPUS_PER_WORKER = 4
_MOST_BLOCKS = 20_000
_TASKS_PER_NODE = 2


def staff(
    resources: Mapping[str, float], *, actors: int | None = None, gpus: bool | None = None
) -> Staff:
    """Plan the worker processes for a cluster with these resources ("CPU", "GPU").

    actors: number of embedding processes (None: one per GPU, else one per 4 processors). gpus:
    embed on GPUs (None: if the cluster has any). Without GPUs, one process per 4 processors reads
    and embeds; with GPUs, one process per GPU embeds, and the processors read for all. Raises
    `RayError` when GPUs are requested and there are none.
    """
    cpus, there = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    if gpus and not there:
        raise RayError(
            "The Ray cluster has no GPU; leave --ray-gpus out, or add machines with GPUs."
        )
    if not there or gpus is False:
        actors = actors or max(1, cpus // _CPUS_PER_WORKER)
        return Staff(actors, 0, min(float(_CPUS_PER_WORKER), cpus / actors))
    share = min(_CPUS_PER_WORKER, cpus)
    return Staff(actors or there, max(1, cpus // share), float(share))


class RayWorkers:
    """The machines of a Ray cluster, which read and embed instead of this process.

    open_embedder: opens the collection's model on a device, on any machine (`ModelRecord.open`).
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        collection: Collection,
        open_embedder: Callable[[str], Embedder],
        *,
        actors: int | None = None,
        gpus: bool | None = None,
        driver_writes: bool = False,
    ) -> None:
        """connect: returns the module of `ray_session`, called when there is something to read.
        actors, gpus: see `staff`. driver_writes: workers send their rows to the driver, as they
        always do when they cannot access the catalog's folder."""
        self._connect, self._collection, self._open = connect, collection, open_embedder
        self._actors, self._gpus, self._driver_writes = actors, gpus, driver_writes
        self._blocks: dict[str, Any] = {}  # id -> reference of the block with its row
        self.written_here = 0  # rows sent back by a machine without the catalog's folder

    @cached_property
    def _ray(self) -> Any:
        return self._connect()

    @cached_property
    def _staff(self) -> Staff:
        return staff(self._ray.cluster_resources(), actors=self._actors, gpus=self._gpus)

    def readings(
        self,
        candidates: pl.DataFrame,
        known: Sequence[str],
        options: IndexOptions,
        stopped: Callable[[], bool],
    ) -> Generator[list[Reading], None, None]:
        """Read and embed candidates (`changes.Changes`); yields lists of light readings as they
        finish, in any order. Pictures and vectors stay with the workers until they are committed.

        known: ids that need no decoding. Ends after the current list when `stopped` returns True.
        Raises a worker's own `TipsError`, and `RayError` when the cluster fails.
        """
        light = self._ray.remote(num_cpus=0)(ledger_part)
        with self._explained(), closing(self._stream(candidates, known, options)) as blocks:
            for block in blocks:
                readings = light_readings(self._ray.get(light.remote(block)))
                for reading in readings:
                    if reading.row is not None:
                        self._blocks.setdefault(reading.id, block)
                yield readings
                if stopped():
                    break

    def commit(self, catalog: Catalog, rows: Sequence[PhotoRow], links: Sequence[Link]) -> int:
        """Let the machines that hold the rows write them with their current files, and commit all
        in one step. The rows must come from the readings since the last commit."""
        if not rows:
            self._blocks.clear()
            return catalog.commit(None, links)
        with self._explained(), _token(catalog) as token:
            revision = catalog.commit_fragments(
                lambda revision: self._write(catalog, rows, revision, token),
                [row.id for row in rows],
                links,
            )
        # Remaining blocks are never needed later: the ledger knows their ids now.
        self._blocks.clear()
        return revision

    def _write(
        self, catalog: Catalog, rows: Sequence[PhotoRow], revision: int, token: str
    ) -> list[str]:
        from indexer.catalog.fragments import write_fragment

        parts: dict[Any, dict[str, Any]] = {}
        for row in rows:
            parts.setdefault(self._blocks[row.id], {})[row.id] = row.files
        write = self._ray.remote(num_cpus=0)(write_rows)
        tasks = (
            write.remote(
                block, files, revision, catalog.uri, None if self._driver_writes else token
            )
            for block, files in parts.items()
        )
        fragments: list[str] = []
        for result in self._results(tasks):
            if not isinstance(result, list):
                self.written_here += len(result)
                result = write_fragment(result, catalog.uri)
            fragments += result
        return fragments

    def _results(self, tasks: Iterator[Any]) -> Iterator[list[str] | pa.Table]:
        """The results of the tasks as they finish. Runs few at a time: each needs a process, which
        Ray may have to start."""
        at_once = _TASKS_PER_NODE * sum(bool(node["Alive"]) for node in self._ray.nodes())
        waiting = list(islice(tasks, at_once))
        while waiting:
            done, waiting = self._ray.wait(waiting)
            yield from self._ray.get(done)
            waiting += islice(tasks, len(done))

    def _stream(
        self, candidates: pl.DataFrame, known: Sequence[str], options: IndexOptions
    ) -> Generator[Any, None, None]:
        """References of the blocks with readings, as they finish."""
        who = self._staff
        rows = max(options.window, len(candidates) // _MOST_BLOCKS)
        # In a list: the workers fetch it themselves, also after a restart.
        reference = [self._ray.put(frozenset(known))]
        assignment = self._assignment(reference, options, max(1, int(who.cpus)))
        yield from stream(self._ray, found_tables(candidates, rows), who, assignment)

    def _assignment(self, known: Any, options: IndexOptions, threads: int) -> Assignment:
        collection = self._collection
        return Assignment(
            open_embedder=self._open,
            model_id=collection.model.model_id,
            heads=collection.model.heads,
            dim=collection.model.dim,
            tiles=collection.tiles,
            max_regions=collection.max_regions,
            limits=options.limits,
            threads=options.threads or threads,
            known=known,
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors that a user can fix into one sentence."""
        from ray.exceptions import RayError as ClusterError
        from ray.exceptions import RayTaskError

        try:
            yield
        except ClusterError as error:
            missing = origin(error, ModuleNotFoundError)
            if missing is not None:
                raise RayError(
                    f"A machine of the Ray cluster lacks the module {missing.name}; install "
                    "`tips-search[ray]` there, in this version."
                ) from error
            if isinstance(error, RayTaskError):
                raise  # a bug of ours, or a full disk
            raise RayError(
                f"The Ray cluster failed ({first_line(error)}); rerun to resume (nothing "
                "committed is lost)."
            ) from error


@contextmanager
def _token(catalog: Catalog) -> Iterator[str]:
    """A file in the catalog's folder by which a machine detects whether it can access that folder;
    empty on object storage."""
    if is_url(catalog.uri):
        yield ""
        return
    path = Path(catalog.folder) / f"seen-{secrets.token_hex(8)}"
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)
