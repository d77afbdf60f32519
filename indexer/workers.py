"""Whoever reads and embeds photos in place of the process that indexes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import polars as pl

    from indexer.catalog.rows import Link, PhotoRow
    from indexer.catalog.table import Catalog
    from indexer.options import IndexOptions
    from indexer.reading import Reading


class Workers(Protocol):
    """Other processes or machines. Pictures and vectors stay with them until they are committed."""

    def readings(
        self,
        candidates: pl.DataFrame,
        known: Sequence[str],
        options: IndexOptions,
        stopped: Callable[[], bool],
    ) -> Generator[list[Reading | None], None, None]:
        """What the candidates (`changes.Changes`) hold, in any order: readings whose rows have no
        features, None for a file that was gone.

        known: ids that need no decoding. stopped: asked between two lists; when it says yes, the
        rest is left out.
        """

    def commit(self, catalog: Catalog, rows: Sequence[PhotoRow], links: Sequence[Link]) -> object:
        """Write rows that were among the readings since the last commit, with the files that they
        have now, and links, in one atomic step."""
