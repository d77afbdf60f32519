"""The Ray actors that read and embed photos on the machines of a cluster.

They run the functions of the local path, `photo_reader.read`, `embed.look_ahead` and
`embed.add_features`, on blocks (`blocks.py`). Calls are idempotent: duplicate results are committed
once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from indexer.cluster import blocks as ray_blocks
from indexer.embed import add_features, look_ahead
from indexer.photo_reader import Reading, read
from indexer.photos.limits import Limits
from indexer.tiles import tiled
from tips_model.errors import TipsError

if TYPE_CHECKING:
    from tips_model.features import Embedder


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The parameters of a worker.

    open_embedder: opens the collection's model on a device ("cpu", "cuda"). model_id: the
    collection's; any other is refused. known: object reference to the ids that need no decoding.
    threads: decoding threads. heads, dim, tiles, max_regions, limits: as in `Collection` and
    `IndexOptions`.
    """

    open_embedder: Callable[[str], Embedder]
    model_id: str
    heads: tuple[str, ...]
    dim: int
    tiles: int
    max_regions: int
    limits: Limits
    threads: int
    known: Any


class PhotoReader:
    """An actor that turns candidates into pixels."""

    def __init__(self, assignment: Assignment, device: str = "cpu") -> None:
        """Open the model, which defines how pictures are prepared."""
        self._open(assignment, device)

    def __call__(self, block: pa.Table) -> pa.Table:
        """A table of found files -> a block with pixels, or a problem block when the photos cannot
        be read here."""
        heads, dim = self.assignment.heads, self.assignment.dim
        try:
            return ray_blocks.read_block(self._read(block), heads, dim)
        except TipsError as error:
            return ray_blocks.problem_block(str(error), heads, dim)

    def _open(self, assignment: Assignment, device: str) -> None:
        import ray

        self.assignment = assignment
        self._known: Collection[str] = ray.get(assignment.known[0])
        self._embedder, self._problem = _open_model(assignment, device)

    @property
    def embedder(self) -> Embedder:
        """The model. Raises `TipsError`, with this machine's name, when it could not be opened."""
        if self._embedder is None:
            raise TipsError(self._problem)
        return self._embedder

    def _read(self, block: pa.Table) -> list[Reading]:
        threads, limits = self.assignment.threads, self.assignment.limits
        one = partial(read, known=self._known, embedder=self.embedder, limits=limits)
        found = ray_blocks.found_readings(block)
        return [*look_ahead(one, found, threads=threads, ahead=4 * threads)]


class PhotoEmbedder(PhotoReader):
    """An actor that turns pixels into vectors and regions."""

    def __call__(self, block: pa.Table) -> pa.Table:
        """A block with pixels -> the block with features, or a problem block."""
        if ray_blocks.is_problem(block):
            return ray_blocks.without_pixels(block)
        heads, dim = self.assignment.heads, self.assignment.dim
        try:
            embedder = self.embedder
        except TipsError as error:
            return ray_blocks.without_pixels(ray_blocks.problem_block(str(error), heads, dim))
        readings = ray_blocks.pixel_readings(block)
        # The driver reports progress, from the blocks that arrive.
        most = self.assignment.max_regions
        add_features(readings, embedder, most, lambda photos: None, lambda: False)
        return ray_blocks.with_features(block, readings, heads, dim)


class PhotoWorker(PhotoEmbedder):
    """An actor that reads and embeds: without GPUs, pixels need not travel."""

    def __call__(self, block: pa.Table) -> pa.Table:
        """A table of found files -> a block with features."""
        return super().__call__(PhotoReader.__call__(self, block))


def _open_model(assignment: Assignment, device: str) -> tuple[Embedder | None, str]:
    # Deferred until there is work: Ray restarts an actor that fails on startup again and again.
    try:
        embedder = assignment.open_embedder(device)
    except (TipsError, OSError) as error:
        return None, f"On {socket.gethostname()}, a machine of the Ray cluster: {error}"
    if embedder.info.model_id != assignment.model_id:
        return None, (
            f"On {socket.gethostname()}, a machine of the Ray cluster, the model is "
            f"{embedder.info.model_id}, but the collection was made with {assignment.model_id}; "
            "put the same weights on all machines."
        )
    return tiled(embedder, assignment.tiles), ""
