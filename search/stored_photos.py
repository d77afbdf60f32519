"""Read single photos from the catalog for a query: files, masks, region vectors, pixels.

Letters: R regions of the photo, h x w its patch grid, D width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from indexer.catalog.rows import unpack_masks
from indexer.errors import DecodeError
from indexer.folders.paths import from_argument, to_bytes, to_text
from indexer.folders.roots import as_known, as_listed
from indexer.folders.storage import is_url
from indexer.photos.decoder_pool import decode_file
from search.arrays import Array
from search.confidence.sample import unit_vectors
from search.errors import QueryError
from search.hits import Box, Mask

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

PAGE_COLUMNS = (
    "id",
    "files",
    "width",
    "height",
    "region_masks",
    "region_boxes",
    "grid_h",
    "grid_w",
    "taken",
    "camera",
    "latitude",
    "longitude",
    "keywords",
)


@dataclass(frozen=True, slots=True)
class Regions:
    """The stored regions of a photo: unit vectors (R, D) and masks (R, h, w)."""

    vectors: Array
    masks: Mask


def page_rows(
    catalog: Catalog, ids: Sequence[str], *, vectors: bool = False
) -> dict[str, dict[str, Any]]:
    """The rows of a page of hits by id; skips photos without files.

    `vectors`: also "region_vectors", unit (R, D).
    """
    if not ids:
        return {}
    table = catalog.rows(ids, [*PAGE_COLUMNS, *(["region_vectors"] if vectors else [])])
    rows = table.select(PAGE_COLUMNS).to_pylist()
    if vectors and rows:
        flat = unit_vectors(table["region_vectors"].combine_chunks().flatten())
        ends = np.cumsum([len(row["region_boxes"]) for row in rows])
        for row, own in zip(rows, np.split(flat, ends[:-1]), strict=True):
            row["region_vectors"] = own
    return {row["id"]: row for row in rows if row["files"]}


def masks_of(row: dict[str, Any]) -> Mask:
    """The region masks (R, h, w) of a row of `page_rows`."""
    return unpack_masks(row["region_masks"], len(row["region_boxes"]), row["grid_h"], row["grid_w"])


def regions_of(catalog: Catalog, image_id: str) -> Regions:
    """The regions of an indexed photo. Raises `QueryError` for an unknown id."""
    columns = [*PAGE_COLUMNS, "region_vectors"]
    table = catalog.rows([image_id], columns)
    if not len(table) or not table["region_boxes"].is_valid()[0].as_py():
        raise QueryError(f"There is no photo with the id {image_id} in this collection.")
    row = table.drop_columns("region_vectors").to_pylist()[0]
    vectors = unit_vectors(table["region_vectors"].combine_chunks().flatten())
    return Regions(vectors, masks_of(row))


def photo_id(catalog: Catalog, name: str) -> str:
    """The id of an indexed photo, given its id or the path of its file. Raises `QueryError` when
    there is none.
    """
    if len(catalog.rows([name], ["id"])):
        return name
    files = catalog.files()
    for path in _spellings(name, files["path"]):
        found = files.filter(pl.col("path") == path)["id"]
        if len(found):
            return str(found[0])
    raise QueryError(
        f"There is no photo with the id or the path {name} in this collection; "
        "`tips search --json` prints both."
    )


def _spellings(name: str, known: pl.Series) -> Iterator[str]:
    """The absolute paths that a text may mean, the most likely first: as JSON lists it, as it was
    typed, as the disk lists it, as the collection does.
    """
    texts = dict.fromkeys((from_argument(name), to_text(os.fsencode(name))))
    paths = [text if is_url(text) else os.path.abspath(os.path.expanduser(text)) for text in texts]
    yield from paths
    yield from map(as_listed, paths)
    yield from (as_known(path, known) for path in paths)


def open_photo(catalog: Catalog, image_id: str, *, side: int) -> Image.Image:
    """The upright pixels of an indexed photo, its shorter side at least about `side` pixels if it
    has them.

    Raises `QueryError` for an unknown id, or when none of its files is readable.
    """
    files = catalog.rows([image_id], ["files"]).to_pylist()
    if not files:
        raise QueryError(f"There is no photo with the id {image_id} in this collection.")
    reason = "it has no file any more"
    for file in files[0]["files"] or []:
        try:
            return decode_file(to_bytes(file["path"]), target=side).image
        except DecodeError as error:
            reason = f"{file['path']}: {error.reason}"
    raise QueryError(f"The photo {image_id} cannot be opened ({reason}); run `tips index` again.")


def pool(regions: Regions, box: Box) -> Array:
    """The unit vector (D,) of a box's content: the stored regions that overlap it, weighted by the
    square of the overlap.

    Overlap is intersection over union of cells; regions with less than half of the best overlap are
    dropped, so that a box drawn around an object gives that object's region.
    """
    cells = box_cells(box, regions.masks.shape[1:])
    inside = (regions.masks * cells).sum(axis=(1, 2))
    union = regions.masks.sum(axis=(1, 2)) + cells.sum() - inside
    overlap = inside / np.maximum(union, 1e-9)
    weights = np.where(overlap >= overlap.max() / 2, overlap**2, 0.0)
    if not weights.any():  # a box between regions: use the whole photo
        weights = regions.masks.sum(axis=(1, 2)).astype(np.float64)
    return unit(weights @ regions.vectors)


def pool_patches(patches: Array, box: Box | None) -> Array:
    """The unit vector (D,) of the patches (h, w, D) in a box, each weighted by its covered
    fraction.
    """
    height, width, dim = patches.shape
    cells = np.ones((height, width)) if box is None else box_cells(box, (height, width))
    return unit(cells.ravel() @ patches.reshape(-1, dim))


def box_cells(box: Box, grid: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The fraction of each cell of a grid (h, w) that a box covers, in [0, 1]."""
    rows, columns = (
        np.clip(np.minimum(np.arange(n) + 1, high * n) - np.maximum(np.arange(n), low * n), 0, 1)
        for n, low, high in ((grid[0], box[1], box[3]), (grid[1], box[0], box[2]))
    )
    return np.outer(rows, columns)


def unit(vector: npt.NDArray[np.floating[Any]]) -> Array:
    """The vector (D,) normalised to unit length."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
