"""Near-duplicates of a collection: the known groups, and a background search for them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.collection import Collection
from ui.jobs import TIPS

if TYPE_CHECKING:
    from search.duplicates.groups import Duplicates


class Repeats:
    """The near-duplicates of one collection; the search for them is a separate process."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        """collection: returns the current collection."""
        self._collection = collection
        self._known: tuple[int, Duplicates | None] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> int:
        """A number that changes when a new search has finished; 0 before the first one."""
        from search.duplicates.groups import FILE

        try:
            return (self._collection().data_folder / FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @property
    def known(self) -> Duplicates | None:
        """The near-duplicates of the last search; None before the first one."""
        state = self.state
        if not state:
            return None
        if self._known is None or self._known[0] != state:
            from search.duplicates.groups import Duplicates

            self._known = state, Duplicates.open(self._collection())
        return self._known[1]

    @property
    def looking(self) -> bool:
        """Whether a search for near-duplicates runs."""
        return self._process is not None and self._process.poll() is None

    def look(self) -> None:
        """Start the search for near-duplicates in a separate process."""
        if not self.looking:
            line = [*TIPS, "duplicates", "--json", "-c", str(self._collection().folder)]
            self._process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
