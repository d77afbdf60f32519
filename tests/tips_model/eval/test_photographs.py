import json
from pathlib import Path

import pytest

from tests.search.colours import ColourEmbedder, paint
from tips_model.eval.coco import CocoSet, EvalDataError, read_coco_set
from tips_model.eval.photographs import photograph_figures

NAMES = ("red", "green", "blue")
LEFT, RIGHT = (0.0, 0.0, 0.25, 1.0), (0.5, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CocoSet:
    """Three pictures a colour, one with a large box on the right and two with a small one on the
    left, and two without any; captions of all but the last.
    """
    folder: Path = tmp_path_factory.mktemp("photographs")
    (folder / "images").mkdir()
    images, things, captions = [], [], []
    for number in range(11):
        box = RIGHT if number < 3 else LEFT
        shown = [(NAMES[number % 3], box)] if number < 9 else []
        paint("white", shown, seed=number).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 192, "height": 128})
        for name, (x0, y0, x1, y1) in shown:
            things.append(
                {
                    "image_id": number,
                    "category_id": NAMES.index(name),
                    "bbox": [192 * x0, 128 * y0, 192 * (x1 - x0), 128 * (y1 - y0)],
                }
            )
            captions.append({"image_id": number, "caption": f"something {name} on white"})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    instances = {"images": images, "annotations": things, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    return read_coco_set(folder)


def test_a_model_that_knows_colours_finds_and_points_at_all(data: CocoSet):
    report = photograph_figures(ColourEmbedder(), data)
    names = report["name to photo"]
    for ranking in ("global vector", "best patch", "both"):
        assert names[ranking] == {"P@1": 1, "mAP": 1}, ranking
    assert names["chance"]["P@1"] == pytest.approx(3 / 11)
    captions = report["caption to photo"]
    assert captions["chance"] == pytest.approx({"R@1": 1 / 11, "R@5": 5 / 11, "R@10": 10 / 11})
    # Three pictures of a colour fit its caption, so the first one is not always the caption's own.
    assert captions["global vector"]["R@5"] == 1
    pointing = report["pointing"]
    for row in ("all", "10-40 %", "> 40 %", "all, centred"):
        assert pointing[row]["hit"] == 1, row
    assert pointing["10-40 %"] == pytest.approx({"hit": 1, "middle": 0, "chance": 0.25, "count": 6})
    assert pointing["> 40 %"] == pytest.approx({"hit": 1, "middle": 1, "chance": 0.5, "count": 3})


def test_figures_do_not_depend_on_how_many_pictures_are_held(
    data: CocoSet, monkeypatch: pytest.MonkeyPatch
):
    embedder = ColourEmbedder()
    once = photograph_figures(embedder, data, captions=5)
    monkeypatch.setattr("tips_model.eval.photographs.CHUNK", 4)
    assert photograph_figures(embedder, data, captions=5) == once
    assert once["caption to photo"]["chance"]["R@1"] == 1 / 5


def test_captions_are_not_needed_and_names_are(data: CocoSet):
    untold = CocoSet(
        tuple(type(i)(i.path, i.width, i.height, (), i.objects) for i in data.images),
        data.categories,
    )
    assert "caption to photo" not in photograph_figures(ColourEmbedder(), untold)
    with pytest.raises(EvalDataError, match="no name that 3 pictures show"):
        photograph_figures(ColourEmbedder(), CocoSet(data.images[:5], data.categories))
