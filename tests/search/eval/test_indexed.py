import json
import shutil
from pathlib import Path

import pytest

from search.eval.indexed import indexed_set
from search.query import Query, Term
from tests.search.colours import ColourEmbedder, paint
from tips_model.eval.coco import EvalDataError

COLOURS = ("red", "green", "blue", "red")  # the last is a copy of the first


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of four pictures, two of which are equal, each of one colour with its name."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    for number, name in enumerate(COLOURS[:3]):
        picture = paint("white", [(name, (0.0, 0.0, 0.5, 1.0))], seed=number)
        picture.save(folder / "images" / f"{number}.png")
    shutil.copy(folder / "images" / "0.png", folder / "images" / "3.png")
    images = [
        {"id": number, "file_name": f"{number}.png", "width": 192, "height": 128}
        for number in range(4)
    ]
    things = [
        {"image_id": number, "category_id": COLOURS.index(name), "bbox": [0, 0, 96, 128]}
        for number, name in enumerate(COLOURS)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(COLOURS[:3])]
    content = {"images": images, "annotations": things, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_a_set_is_indexed_and_asked_with_its_copies_as_one(folder: Path):
    with indexed_set(folder, ColourEmbedder()) as found:
        assert {image.path.name for image in found.data.images} == {"0.png", "1.png", "2.png"}
        by_name = dict(zip(found.ids, found.data.images, strict=True))
        for number, name in enumerate(COLOURS[:3]):
            hit = found.searcher.images(Query((Term(name),)), limit=1, all=True).hits[0]
            assert by_name[hit.id].path.name == f"{number}.png"


def test_a_collection_that_is_kept_is_not_made_again(folder: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    with indexed_set(folder, ColourEmbedder(), collection=kept) as found:
        before = found.searcher.revision
    with indexed_set(folder, ColourEmbedder(), collection=kept) as found:
        assert found.searcher.revision == before
        assert len(found.ids) == 3
    with (
        pytest.raises(EvalDataError, match="with 1 tiles a side, not 2"),
        indexed_set(folder, ColourEmbedder(), tiles=2, collection=kept),
    ):
        pass


def test_other_photos_and_missing_ones_are_named(folder: Path):
    paint("black", []).save(folder / "images" / "more.png")
    with (
        pytest.raises(EvalDataError, match=r"does not name, such as .*more\.png"),
        indexed_set(folder, ColourEmbedder()),
    ):
        pass
    (folder / "images" / "more.png").unlink()
    (folder / "images" / "1.png").write_bytes(b"broken")
    with (
        pytest.raises(EvalDataError, match=r"1\.png is missing or cannot be read"),
        indexed_set(folder, ColourEmbedder()),
    ):
        pass
