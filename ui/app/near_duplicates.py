"""Near-duplicates of a collection: what is known of them, and looking for them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.collection import Collection
from ui.jobs import TIPS

if TYPE_CHECKING:
    from search.duplicates.groups import Duplicates


class Repeats:
    """The near-duplicates of one collection; looking for them is a process of its own."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        """collection: gives it as it is now."""
        self._collection = collection
        self._known: tuple[int, Duplicates | None] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> int:
        """A number that changes when others were found; 0 when nobody has looked for them."""
        from search.duplicates.groups import FILE

        try:
            return (self._collection().data_folder / FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @property
    def known(self) -> Duplicates | None:
        """The near-duplicates that were found last; None when nobody has looked for them."""
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
        """Look for near-duplicates in a process of its own."""
        if not self.looking:
            line = [*TIPS, "duplicates", "--json", "-c", str(self._collection().folder)]
            self._process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
