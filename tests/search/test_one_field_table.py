"""A fact that is added to `indexer/fields.py` is a filter everywhere; nothing else changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.search.colours import paint, save

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from pathlib import Path

from indexer import fields

row = "float", ("f_number",), lambda row: row["f_number"], (), "number", "aperture:2..8"
own = {"aperture": fields.Field(*row)}
fields.FIELDS = {**fields.FIELDS, **own}
fields.COLUMNS = (*fields.COLUMNS, "f_number")

from indexer import Collection, index
from search import Searcher
from search.browse.index import PhotoIndex
from search.errors import FilterError
from tests.search.colours import ColourEmbedder

photos, model = Path(sys.argv[1]), ColourEmbedder()
collection = Collection.create(Path(sys.argv[2]), model.info)
index(collection, [photos], model)
browsed = PhotoIndex.load(collection.catalog())
with Searcher.open(collection.folder, embedder=model) as searcher:
    for text in ("aperture:2..4", "aperture:8", "-aperture:..32", "camera:x"):
        hits = searcher.images("red", filter=text, all=True).hits
        rows = browsed.matching(text)
        print(text, sorted(Path(hit.path).stem for hit in hits), len(rows))
try:
    browsed.matching("aperture:wide")
except FilterError as error:
    print(error)
"""


def test_a_field_of_the_table_is_on_the_points_in_browsing_and_in_filters(tmp_path: Path) -> None:
    for number, aperture in enumerate((None, 1, 2, 4, 8)):
        exif = {} if aperture is None else {"f_number": float(aperture)}
        save(paint("red", [], seed=number), tmp_path / "photos" / f"{aperture}.jpg", **exif)
    run = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "photos"), str(tmp_path / "c")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines() == [
        "aperture:2..4 ['2', '4'] 2",
        "aperture:8 ['8'] 1",
        "-aperture:..32 ['None'] 1",
        "camera:x [] 0",
        "aperture:wide is not a number or a range of numbers; write aperture:2..8.",
    ], run.stderr
