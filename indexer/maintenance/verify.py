"""Verify that catalog, vectors and files agree, and repair the vectors from the catalog.

Every photo of the catalog must have a file, its image point and one point per region, and the store
must hold nothing else; vectors are compared for a sample of the photos. Changes that a stopped run
committed but did not publish are reported separately from errors.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from indexer.errors import CatalogDamagedError, explain_full_disk
from indexer.folders.paths import to_bytes
from indexer.publish import columns, image_points, publish
from indexer.vectors import KINDS, VectorError, image_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import pyarrow as pa

    from indexer.catalog.table import Catalog
    from indexer.collection import Collection
    from indexer.vectors import VectorStore

_SAMPLE = 4  # photos per catalog batch whose vectors are compared
_SAME = 0.999  # minimum cosine of a vector and its copy; both are float16


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was compared and what disagrees.

    photos: in the catalog. pending: ids that changed since the last publish. incomplete: ids
    without all their points. wrong: ids whose vectors differ. surplus: prefixes of ids that are
    only in the vectors. stale: files changed or deleted since they were indexed (except in missing
    roots). twice: files that more than one photo claims. broken: ids of rows without a file or with
    inconsistent parts. damage: why the vectors, or the catalog, are unreadable. repaired: whether
    anything was done. back_to: the revision that a damaged catalog was rolled back to.
    """

    photos: int
    pending: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    damage: str = ""
    repaired: bool = False
    back_to: int | None = None

    @property
    def vectors_agree(self) -> bool:
        """Whether the vectors match the catalog."""
        return not (self.pending or self.incomplete or self.wrong or self.surplus or self.damage)

    @property
    def sound(self) -> bool:
        """Whether everything agrees."""
        return self.vectors_agree and not (self.stale or self.twice or self.broken)

    def lines(self) -> list[str]:
        """The report as text, one finding per line."""
        found = {
            "photos changed and not published yet (`tips index` does it)": self.pending,
            "photos whose points are missing": self.incomplete,
            "photos whose vectors differ from the catalog": self.wrong,
            "photos that are only in the vectors": self.surplus,
            "files changed or deleted since (`tips index` updates them)": self.stale,
            "files that two photos claim (`tips index` reads them again)": self.twice,
            "photos with a damaged row; index them into a new collection": self.broken,
        }
        lines = [f"{self.photos} photos in the catalog"]
        lines += [self.damage] if self.damage else []
        lines += [f"{len(items)} {name}" for name, items in found.items() if items]
        lines += ["the vectors were repaired"] if self.repaired else []
        if self.back_to is not None:
            lines.append(
                f"the catalog was damaged and is back at revision {self.back_to}; `tips index` "
                "adds what came later"
            )
        return [*lines, "all agree"] if self.sound else lines

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return {"sound": self.sound, **asdict(self)}


def verify(collection: Collection, *, repair: bool = False) -> VerifyReport:
    """Compare; with `repair` also publish what is missing, if necessary by rebuilding from the
    catalog. An unreadable catalog is rolled back to its last whole state first.

    A repair requires the collection's lock, and raises the errors of `Collection.lock` and
    `Catalog.recover`.
    """
    with explain_full_disk(collection.folder), collection.lock() if repair else nullcontext():
        catalog, store = collection.catalog(), collection.vectors(read_only=not repair)
        try:
            report = _look(catalog, store, collection.roots)
            if repair and not report.vectors_agree:
                back_to = catalog.recover()
                _republish(catalog, store, anew=bool(report.damage) or back_to is not None)
                report = _look(catalog, store, collection.roots)
                report = replace(report, repaired=True, back_to=back_to)
        finally:
            store.close()
        return report


def _look(catalog: Catalog, store: VectorStore, roots: Sequence[str]) -> VerifyReport:
    """Compare everything."""
    try:
        report, files = _compare(catalog, store), catalog.files()
    except CatalogDamagedError as error:
        return VerifyReport(photos=0, damage=str(error))
    return replace(report, stale=_stale_files(files, roots), twice=_claimed_twice(files))


def _republish(catalog: Catalog, store: VectorStore, *, anew: bool) -> None:
    """Publish what is pending; if that is not enough, rebuild the store."""
    if not anew:
        try:
            publish(catalog, store)
            anew = not _compare(catalog, store).vectors_agree
        except VectorError:  # it does not even accept new points
            anew = True
    if anew:
        publish(catalog, store, rebuild=True)


def _compare(catalog: Catalog, store: VectorStore) -> VerifyReport:
    photos, pending, incomplete, wrong, broken = 0, *(list[str]() for _ in range(4))
    try:
        if damaged := store.damaged():
            raise VectorError(
                f"{len(damaged)} files of the vectors are damaged ({damaged[0]}); `tips rebuild` "
                "rebuilds them from the catalog"
            )
        held = _held_points(store)
        # Vectors newer than the catalog belong to a catalog that no longer exists: nothing is
        # pending for them.
        shown = store.revision if store.revision <= catalog.revision else catalog.revision
        for batch in catalog.changed_since(0, [*columns(catalog), "revision"]):
            broken += _broken(batch)
            ok = batch.filter(pc.equal(batch["status"], "ok"))
            photos += len(ok)
            new = batch.filter(pc.greater(batch["revision"], shown))
            pending += _pending(new, held)
            ok = ok.filter(pc.less_equal(ok["revision"], shown))
            bad = _incomplete(ok, held)
            incomplete += bad
            if not bad:
                wrong += _wrong(ok.slice(0, _SAMPLE), store)
    except VectorError as error:
        return VerifyReport(photos=catalog.counts()["ok"], broken=tuple(broken), damage=str(error))
    return VerifyReport(
        photos=photos,
        pending=tuple(pending),
        incomplete=tuple(incomplete),
        wrong=tuple(wrong),
        surplus=tuple(sorted(held)),
        broken=tuple(broken),
    )


def _broken(rows: pa.RecordBatch) -> list[str]:
    """Ids of rows without a file, or with different numbers of vectors, boxes and masks."""
    gone = pc.equal(rows["status"], "removed")
    bad = pc.and_(pc.invert(gone), pc.less(pc.list_value_length(rows["files"]), 1))
    regions = pc.list_value_length(rows["region_vectors"])
    cells = pc.multiply(pc.cast(rows["grid_h"], "int64"), pc.cast(rows["grid_w"], "int64"))
    packed = pc.divide(pc.add(pc.multiply(cells, pc.cast(regions, "int64")), 7), 8)
    fits = pc.and_(
        pc.equal(regions, pc.list_value_length(rows["region_boxes"])),
        pc.equal(packed, pc.cast(pc.binary_length(rows["region_masks"]), "int64")),
    )
    ok = pc.equal(rows["status"], "ok")
    bad = pc.or_(bad, pc.and_(ok, pc.invert(pc.fill_null(fits, False))))
    for name in rows.schema.names:
        if name.startswith("vector_"):
            bad = pc.or_(bad, pc.and_(ok, pc.is_null(rows[name])))
    return list(rows.filter(bad)["id"].to_pylist())


def _held_points(store: VectorStore) -> dict[str, int]:
    """Image key -> bit set of its points in the store: bit 0 the image, bit k + 1 region k."""
    held: defaultdict[str, int] = defaultdict(int)
    for kind in KINDS:
        for page in store.scroll_ids(kind):
            for point_id in page:
                held[image_key(point_id)] |= 1 << int(point_id[-2:], 16)
    return dict(held)


def _pending(rows: pa.RecordBatch, held: dict[str, int]) -> list[str]:
    """Ids of the rows to be added to or removed from the store; takes all rows out of `held`."""
    return [
        image_id
        for image_id, status in zip(rows["id"].to_pylist(), rows["status"].to_pylist(), strict=True)
        if held.pop(image_key(image_id), 0) or status == "ok"
    ]


def _incomplete(rows: pa.RecordBatch, held: dict[str, int]) -> list[str]:
    """Ids of the rows whose points differ from `held`; takes all rows out of it."""
    counts = rows["region_boxes"].value_lengths().to_pylist()
    return [
        image_id
        for image_id, regions in zip(rows["id"].to_pylist(), counts, strict=True)
        if held.pop(image_key(image_id), 0) != (1 << (regions + 1)) - 1
    ]


def _wrong(rows: pa.RecordBatch, store: VectorStore) -> list[str]:
    """Ids of the rows whose image vectors differ between store and catalog."""
    points = image_points(rows)
    wrong: set[str] = set()
    for name, vectors in points.vectors.items():
        cosines = np.einsum("nd,nd->n", vectors, store.vectors("images", points.ids, name))
        cosines /= np.linalg.norm(vectors, axis=1)
        wrong |= {rows["id"][int(place)].as_py() for place in np.flatnonzero(cosines < _SAME)}
    return sorted(wrong)


def _stale_files(files: pl.DataFrame, roots: Sequence[str]) -> tuple[str, ...]:
    """Paths under present roots that are gone or differ in size or time."""
    present = {root for root in roots if os.path.isdir(to_bytes(root))}
    stale = []
    columns = files.select("path", "root", "size", "mtime_ns")
    for path, root, size, mtime_ns in columns.iter_rows():
        if root in present:
            try:
                now = os.stat(to_bytes(path))
            except OSError:
                stale.append(path)
                continue
            if (now.st_size, now.st_mtime_ns) != (size, mtime_ns):
                stale.append(path)
    return tuple(sorted(stale))


def _claimed_twice(files: pl.DataFrame) -> tuple[str, ...]:
    """Paths that are in more than one row."""
    return tuple(sorted(files["path"].filter(files["path"].is_duplicated()).unique()))
