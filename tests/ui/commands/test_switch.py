"""`tips switch` and `tips compare` on a real collection, and an open searcher that lives through
it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.errors import ModelMismatchError
from indexer.maintenance import model_switch
from search.searcher import Searcher
from tests.search.colours import ColourEmbedder
from tests.ui.conftest import tips
from tips_model.embedder import open_embedder
from ui.background import Background
from ui.live_collection import LiveCollection
from ui.warm_models import WarmModels


def answer(searcher: Searcher) -> list[tuple[str, float]]:
    """What a searcher finds: ids and scores, which a kept calibration rounds a little."""
    hits = searcher.images("red disc", all=True).hits
    return [(hit.id, pytest.approx(hit.score, abs=1e-3)) for hit in hits]


@pytest.fixture(scope="module")
def switched(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, switched from nano as a whole to nano with windows."""
    folder = tmp_path_factory.mktemp("switch") / "c"
    shutil.copytree(collection, folder)
    live = LiveCollection(folder, WarmModels("cpu"), Background("pictures"))
    with Searcher.open(folder) as searcher:
        before = answer(searcher)
        assert live.refresh()
        result = tips("switch", "nano", "--tiles", "2", "-c", folder)
        assert result.exit_code == 0, result.output
        # Who has it open is answered by the old model, who opens it now by the new one.
        assert answer(searcher) == before
        with Searcher.open(folder) as fresh, live.state() as old:
            assert answer(fresh) != before
            assert live.refresh()
            with live.state() as new:
                assert answer(new.searcher) == answer(fresh)
            assert answer(old.searcher) == before
        assert not live.refresh()
        live.close()
    return folder


def test_the_switched_collection_has_all_photos_and_the_old_vectors(switched: Path) -> None:
    status = json.loads(tips("status", "-c", switched, "--json").stdout)
    assert (status["photos"], status["failed"]) == (30, 1)
    opened = Collection.open(switched)
    assert (opened.tiles, opened.max_regions) == (2, 32)
    assert opened.previous is not None
    assert (status["tiles"], status["max_regions"]) == (2, 32)
    assert "in 2 x 2 windows, at most" in " ".join(tips("status", "-c", switched).stdout.split())


def test_a_model_without_all_photos_is_not_compared_without_a_word(
    switched: Path, photos: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    assert tips("index", photos / "Rome", "-c", part, "--model", "nano").exit_code == 0
    said = tips("compare", switched, part, "red disc", "-n", 5)
    assert "They do not hold as many: 30 photos in" in said.stderr
    ask = ("compare", switched, part, "red disc", "-n", 5, "--json")
    answer = json.loads(tips(*ask).stdout)
    assert [answer[side]["photos"] for side in "ab"] == [30, 10]
    alike = tips("compare", "now", "before", "red disc", "-n", 5, "-c", switched)
    assert "They do not hold" not in alike.stderr


def test_two_models_of_a_collection_are_compared(switched: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "both.png"
    ask = ("compare", "now", "before", "red disc", "-n", 5, "-c", switched)
    answer = json.loads(tips(*ask, "--sheet", sheet, "--json").stdout)
    assert [len(answer[side]["hits"]) for side in "ab"] == [5, 5]
    ids = [{hit["id"] for hit in answer[side]["hits"]} for side in "ab"]
    assert answer["agreement"]["overlap"]["5"] == len(ids[0] & ids[1]) / 5
    with Image.open(sheet) as picture:
        assert picture.width > 480
    table = tips(*ask, "--places").output
    assert "now (nano in 2 x 2 windows)" in table
    assert "Both have: " in table
    same = json.loads(tips("compare", switched, switched, "disc", "-n", 5, "--json").stdout)
    assert same["agreement"]["overlap"] == {"1": 1.0, "5": 1.0}


def test_a_sheet_that_cannot_be_written_is_refused_before_anything_is_asked(
    switched: Path, tmp_path: Path
) -> None:
    result = tips(
        "compare", "now", "before", "x", "-c", switched, "--sheet", tmp_path / "no" / "a.png"
    )
    assert result.exit_code == 2
    assert f"the folder {tmp_path / 'no'} is not there" in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_model_with_nothing_to_show_yet_is_named(collection: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    shutil.copytree(collection, folder)
    opened = Collection.open(folder)
    with model_switch.building(opened):
        model_switch.begin(opened, open_embedder("nano").info, tiles=2)
    result = tips("compare", "now", "next", "disc", "-c", folder)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "'next' (nano in 2 x 2 windows) is being built and has no vectors yet" in said
    assert "tips switch nano" in said


def test_names_that_mean_nothing_or_two_things_are_refused(switched: Path) -> None:
    for name, sentence in (("next", "no model"), ("nano", "more than one model")):
        result = tips("compare", name, "now", "disc", "-c", switched)
        assert result.exit_code == 2
        assert f"'{name}' is not a collection, and {sentence} of" in result.stderr
        assert "now (nano in 2 x 2 windows), before (nano)." in result.stderr


def test_going_back_and_dropping(switched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    shutil.copytree(switched, folder)
    assert tips("switch", "-c", folder).exit_code == 2
    assert tips("switch", "--cancel", "-c", folder).exit_code == 2
    back = json.loads(tips("switch", "--back", "--json", "-c", folder).stdout)
    assert back == {"model": "nano", "kept": "nano"}
    assert Collection.open(folder).tiles == 1
    assert json.loads(tips("verify", "--json", "-c", folder).stdout)["sound"]
    dropped = json.loads(tips("switch", "--drop-old", "--json", "-c", folder).stdout)
    assert dropped == {"model": "nano", "kept": None}
    assert not list((folder / "models").glob("*/"))
    again = tips("switch", "nano", "-c", folder)
    assert again.exit_code == 2
    assert "is made with nano already" in again.stderr


def test_a_searcher_with_a_model_of_its_own_is_told(
    switched: Path, tmp_path: Path, collection: Path
) -> None:
    stranger = ColourEmbedder()
    folder = tmp_path / "c"
    old = Collection.create(folder, stranger.info)
    with old.lock():
        old.use_part(Collection.open(collection).part() | {"data": "models/x"}, old.part())
    with pytest.raises(ModelMismatchError, match=r"made with nano .* not with colours"):
        Searcher.open(folder, embedder=stranger)
