"""Options of indexing: ignore patterns, limits per photo, and commit and publish intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.photos.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Options of indexing.

    ignore: gitignore patterns relative to each root, besides the folders that the collection
    excludes (`Collection.exclude`). include_hidden: also names that begin with a
    dot.
    limits: what one photo may cost. retry_failed: read failed photos again although their files are
    unchanged. reread: read facts and thumbnails again of photos that an earlier version has read.
    threads: reader threads (None: one per processor). window: photos embedded together;
    twice as many are decoded ahead, which bounds the memory.
    commit_photos, commit_seconds, publish_photos, publish_seconds: the maximum between two commits
    and between two publishes, whichever comes first.
    """

    ignore: tuple[str, ...] = ()
    include_hidden: bool = False
    limits: Limits = field(default_factory=Limits)
    retry_failed: bool = False
    reread: bool = False
    threads: int | None = None
    window: int = 64
    commit_photos: int = 256
    commit_seconds: float = 15.0
    publish_photos: int = 2000
    publish_seconds: float = 30.0
