"""The examples do what they say, with a few of the demo's photos."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tips_model.embedder import open_embedder

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "first_steps.ipynb"
PHOTOS = sorted((ROOT / "ui" / "demo" / "photos").rglob("*.jpg"))[::20]


def start(script: str, *arguments: object) -> None:
    """Run a script as `python examples/SCRIPT ARGUMENTS` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some photos, and the collection that the first example makes of them where
    `make demo` leaves one."""
    place = tmp_path_factory.mktemp("examples")
    (place / "photos").mkdir()
    for photo in PHOTOS:
        shutil.copy(photo, place / "photos")
    start("search_photos.py", place / "photos", place / "demo-out" / "collection", "animal")
    return place


def test_photos_are_indexed_once_and_searched(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = place / "best.png"
    collection = place / "demo-out" / "collection"
    start("search_photos.py", place / "photos", collection, "animal", "--draw", drawn)
    first, *hits = capsys.readouterr().out.splitlines()
    assert first == f"0 new photos, {len(PHOTOS)} unchanged, 0 unreadable."
    assert len(hits) == 5
    scores = [float(line.split()[0]) for line in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(str(place / "photos") in line for line in hits)
    with Image.open(drawn) as picture:
        assert picture.width > 100


def test_a_model_learns_from_a_list_of_captions(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(photo.name for photo in (place / "photos").iterdir())[:4]
    listing = place / "captions.csv"
    listing.write_text("image,caption\n" + "".join(f"photos/{n},photo {n}\n" for n in names))
    end = f"Step 2 of 2; the model is in {tmp_path / 'model'}."
    for said in (["4 photos with captions, 0 left out.", end], [end]):  # the second run resumes
        start("train_on_photos.py", listing, tmp_path, "--steps", 2, "--batch", 2)
        assert capsys.readouterr().out.splitlines() == said
    with pytest.raises(SystemExit, match="was saved with another `stages`"):
        start("train_on_photos.py", listing, tmp_path, "--steps", 3, "--batch", 2)
    model = open_embedder("mine", weights=str(tmp_path / "model"))
    assert model.info.dim == open_embedder("nano").info.dim


def test_without_fiftyone_the_example_says_how_to_get_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(SystemExit, match=r"^FiftyOne is not installed; run `pip install fiftyone`"):
        start("to_fiftyone.py", place / "demo-out" / "collection", "animal")


def test_hits_become_samples_with_boxes_of_fiftyones_form(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the package, which takes what its documentation says."""
    datasets: list[Any] = []

    class Dataset:
        def __init__(self, name: str, persistent: bool) -> None:
            self.name, self.persistent, self.samples = name, persistent, list[Any]()
            datasets.append(self)

        def add_samples(self, samples: list[Any]) -> None:
            self.samples += samples

    fake: Any = ModuleType("fiftyone")
    fake.Dataset = Dataset
    fake.Sample = fake.Detection = fake.Detections = SimpleNamespace
    monkeypatch.setitem(sys.modules, "fiftyone", fake)
    start("to_fiftyone.py", place / "demo-out" / "collection", "animal", "tree", "--all")
    (dataset,) = datasets
    assert (dataset.name, dataset.persistent) == ("tips", True)
    assert {Path(sample.filepath).name for sample in dataset.samples} == {p.name for p in PHOTOS}
    places = [place for sample in dataset.samples for place in sample.places.detections]
    assert {place.label for place in places} == {"animal", "tree"}
    for found in places:
        left, top, width, height = found.bounding_box
        assert left >= 0 <= top
        assert 0 < width <= 1 - left + 1e-6
        assert 0 < height <= 1 - top + 1e-6
        assert found.confidence == min(max(found.score, 0), 1)


def test_the_notebook_has_no_outputs_and_its_cells_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    names: dict[str, Any] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    assert f"jpeg {len(PHOTOS)}" in capsys.readouterr().out
    assert names["heat"].max() > 0
