"""How to index: what is left out, what a photo may cost, and how often is committed."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.photos.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """How to index.

    ignore: gitignore patterns relative to each root. include_hidden: also names that begin with a
    dot.
    limits: what one photo may cost. retry_failed: read photos that failed again although their
    files are the same. threads: that read (None: one per processor). window: photos embedded
    together; twice as many are decoded ahead, which bounds the memory.
    commit_photos, commit_seconds, publish_photos, publish_seconds: how much may pass between two
    commits, and between two publishings, whichever comes first.
    """

    ignore: tuple[str, ...] = ()
    include_hidden: bool = False
    limits: Limits = field(default_factory=Limits)
    retry_failed: bool = False
    threads: int | None = None
    window: int = 64
    commit_photos: int = 256
    commit_seconds: float = 15.0
    publish_photos: int = 2000
    publish_seconds: float = 30.0
