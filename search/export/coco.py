"""Export found places as COCO annotations, for labelling or training.

Boxes and masks are in pixels of the *upright* photo: a reader that ignores EXIF orientation has to
rotate such photos first. Masks are run-length encoded at the photo's size, in column order as in
COCO. `tips_model/eval/coco.py` and pycocotools read the file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from search.hits import Hit, RegionHit
from tips_model.run_lengths import run_lengths

IN_MEMORY = 8 << 20  # bytes of image entries; more wait in a temporary file
_CHUNK = 1 << 20


class CocoFormat:
    """One JSON object: annotations as they come, then images and categories.

    `query` names the category of places without a thing name of a composed query. `root`, a path in
    text form, is removed from file names inside it; the others stay absolute.
    """

    def __init__(self, query: str, root: str | None = None) -> None:
        self._query = query
        self._prefix = None if root is None else root.rstrip("/") + "/"
        self._categories: dict[str, int] = {}
        # Images can only be written after the last annotation.
        self._images = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  (closed by tail)
        self._image_count = self._annotation_count = 0

    def head(self) -> Iterable[bytes]:
        """The file header, and the beginning of the annotations."""
        info = {"description": f"Places found for: {self._query}", "boxes": "of the upright photo"}
        return [b'{"info": ' + _json(info) + b', "annotations": [']

    def hit(self, hit: Hit) -> Iterator[bytes]:
        """The annotations of one photo, which becomes an image of the set even without any."""
        self._image_count += 1
        facts = hit.facts()
        entry = {
            "id": self._image_count,
            "file_name": self._file_name(hit.path),
            "width": hit.width,
            "height": hit.height,
            "date_captured": facts.pop("taken"),  # as the format calls it
            "score": round(hit.score, 6),
            **facts,
        }
        self._images.write(_between(self._image_count) + _json(entry))
        for region in hit.regions:
            self._annotation_count += 1
            yield _between(self._annotation_count) + _json(self._annotation(hit, region))

    def tail(self) -> Iterator[bytes]:
        """Images and categories."""
        yield b'\n], "images": ['
        self._images.seek(0)
        while chunk := self._images.read(_CHUNK):
            yield chunk
        self._images.close()
        named = [{"id": number, "name": name} for name, number in self._categories.items()]
        yield b'\n], "categories": ' + _json(named) + b"}\n"

    def _file_name(self, path: str) -> str:
        return path if self._prefix is None else path.removeprefix(self._prefix)

    def _annotation(self, hit: Hit, region: RegionHit) -> dict[str, Any]:
        name = region.text or self._query
        counts = run_lengths(region.mask, hit.width, hit.height)
        x0, y0, x1, y1 = region.box
        edges = (x0 * hit.width, y0 * hit.height, (x1 - x0) * hit.width, (y1 - y0) * hit.height)
        return {
            "id": self._annotation_count,
            "image_id": self._image_count,
            "category_id": self._categories.setdefault(name, len(self._categories) + 1),
            "bbox": [round(edge, 2) for edge in edges],
            "area": int(counts[1::2].sum()),
            "segmentation": {"size": [hit.height, hit.width], "counts": counts.tolist()},
            "iscrowd": 0,
            "score": round(region.score, 6),
        }


def _between(number: int) -> bytes:
    return b"\n" if number == 1 else b",\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
