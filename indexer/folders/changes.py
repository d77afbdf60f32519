"""Compare the files found with the files known: joins of two frames; no file is opened.

Names: a *link* is a row (path, id) of the catalog's file list: the path held this content when it
was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from indexer.folders.devices import Away

FACTS = ("size", "mtime_ns", "ctime_ns")


@dataclass(frozen=True, slots=True)
class Changes:
    """The work of a run.

    candidates: found files to read, with `old_ids` (the ids that a modified path links to, null for
    a new path); files that look moved (size and mtime of a missing link) come first.
    missing: links (path, id) whose file is gone although its folder was walked.
    stale: links (path, id) superseded by a later link of the same path.
    beside: links (path, id) of unchanged files with other sidecars than those that were read.
    unchanged: the number of found files with known facts. totals: the known links below each
    root, whatever part of it was walked. away: files that are not missing, but on a disk that is
    not mounted.
    """

    candidates: pl.DataFrame
    missing: pl.DataFrame
    stale: pl.DataFrame
    beside: pl.DataFrame
    unchanged: int
    totals: Mapping[str, int] = field(default_factory=dict)
    away: Away = field(default_factory=Away)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        parts = (self.candidates, self.missing, self.stale, self.beside)
        return all(part.is_empty() for part in parts)


def compare(
    found: pl.DataFrame,
    known: pl.DataFrame,
    roots: Iterable[str],
    unseen: Iterable[str] = (),
    retry: Iterable[str] = (),
) -> Changes:
    """Compare found files (`scan.FILE_SCHEMA`) with known links (the same columns and `id`).

    roots: the folders to walk; links outside of them are kept.
    unseen: missing roots and unreadable folders; links below them are kept as well.
    retry: paths to read again although their facts are known.
    """
    here = known.filter(below(known["path"], roots) & ~below(known["path"], unseen))
    exact = found.join(here, on=["path", *FACTS], how="semi").filter(
        ~pl.col("path").is_in(list(retry))
    )
    links = here.select("path", "id")
    # Links of a path with known facts, other than the link with these facts: left by an interrupted
    # run.
    current = here.join(found, on=["path", *FACTS], how="semi").select("path", "id")
    stale = links.join(exact, on="path", how="semi").join(current, on=["path", "id"], how="anti")
    missing = here.join(found, on="path", how="anti")
    candidates = found.join(exact, on="path", how="anti").join(
        links.group_by("path").agg(pl.col("id").alias("old_ids")), on="path", how="left"
    )
    gone = missing.select("size", "mtime_ns").unique().with_columns(like_moved=pl.lit(True))
    candidates = (
        candidates.join(gone, on=["size", "mtime_ns"], how="left", maintain_order="left")
        .sort(~(pl.col("like_moved").fill_null(False) & pl.col("old_ids").is_null()), "path")
        .drop("like_moved")
    )
    beside = other_sidecars(exact, here)
    return Changes(candidates, missing.select("path", "id"), stale, beside, len(exact))


def other_sidecars(found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Links (path, id) of found photos whose sidecars are not those that were read."""
    same = found.join(known.filter(status="ok"), on=["path", *FACTS], suffix="_read")
    return same.filter(pl.col("stamp") != pl.col("stamp_read")).select("path", "id")


def photos_of(ids: Iterable[str], found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The found files of known photos, a photo a row: id, `files`, a list of structs of found
    facts, and `sidecars`, the paths of all that is beside them.
    """
    facts = [name for name in found.columns if name != "sidecars"]
    links = known.select("id", "path", *FACTS).filter(pl.col("id").is_in(list(ids)))
    here = found.join(links, on=["path", *FACTS]).sort("path")
    return here.group_by("id", maintain_order=True).agg(
        pl.struct(facts).alias("files"), pl.col("sidecars").explode(empty_as_null=False)
    )


def below(paths: pl.Series, folders: Iterable[str]) -> pl.Series:
    """Mask of the paths that equal one of the folders or lie below one."""
    inside = pl.repeat(False, len(paths), dtype=pl.Boolean, eager=True)
    for folder in folders:
        prefix = folder.rstrip("/") + "/"
        inside = inside | paths.str.starts_with(prefix) | (paths == folder)
    return inside


def within(paths: pl.Series, folders: Iterable[str]) -> pl.Series:
    """Mask of the files that lie directly in one of the folders."""
    return paths.str.replace(r"/[^/]*$", "").replace("", "/").is_in(list(folders))
