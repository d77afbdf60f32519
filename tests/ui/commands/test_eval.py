import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tips_model.train.scenes import paint
from tips_model.checkpoints import save_model
from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.eval.coco import EvalDataError
from tips_model.eval.scenes import questions_of
from tips_model.eval.tasks import TASKS as KNOWN
from tips_model.model import TIPS
from tips_model.templates import TEMPLATES
from tips_model.tokenizer import Tokenizer
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.export import write_coco
from tips_model.train.scenes.plan import SPECS
from tips_model.train.scenes.vocabulary import train_tokenizer
from ui.commands.eval import TASKS, evaluate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in `model` and six scenes in `data`."""
    folder = tmp_path_factory.mktemp("eval")
    config = TIPSConfig(
        name="tiny",
        vision=VisionConfig(width=16, depth=1, heads=2, mlp_hidden=32, patch=8, grid=4),
        text=TextConfig(width=16, depth=1, heads=2, mlp_hidden=32, vocab=1024),
        image_size=32,
    )
    model = TIPS(config)
    model.tokenizer = Tokenizer(train_tokenizer())
    save_model(model, folder / "model")
    write_coco(folder / "data", SceneSource(bank=paint.bank()), SPECS["scenes"], 6, (32, 32))
    return folder


def test_the_command_knows_all_tasks():
    assert tuple(KNOWN) == TASKS


def test_chosen_tasks_are_printed_as_json(folder: Path):
    arguments = [str(folder / "model"), str(folder / "data"), "-t", "pointing", "--json"]
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 0, result.output
    rows = {row["metric"]: row["value"] for row in json.loads(result.stdout)}
    kinds = {"hit", "hit_any", "right_given_hit", "chance"}
    assert set(rows) == kinds | {f"centred {kind}" for kind in kinds}
    scenes = SceneSource(bank=paint.bank()).scenes(SPECS["scenes"], 6, (32, 32))
    expected = questions_of(scenes, least=1).mask.float().mean()
    assert rows["chance"] == pytest.approx(float(expected), abs=1e-6)


def test_names_go_into_the_templates_that_are_asked_for(folder: Path):
    call = [str(folder / "model"), str(folder / "data"), "-t", "names", "--json"]
    plain, same, tcl, own = (
        CliRunner().invoke(evaluate, [*call, *more]).stdout
        for more in (
            [], ["--prompts", "plain"], ["--prompts", "tcl"],
            [word for text in TEMPLATES["tcl"] for word in ("--template", text)],
        )
    )  # fmt: skip
    assert plain == same
    assert tcl == own


def test_a_window_that_cuts_patches_is_refused(folder: Path):
    result = CliRunner().invoke(
        evaluate, [str(folder / "model"), str(folder / "data"), "--window", "12"]
    )
    assert result.exit_code == 2
    assert "multiple of the patch, 8" in result.output


def test_regions_are_measured_against_the_whole_grid(folder: Path):
    result = CliRunner().invoke(
        evaluate, ["regions", str(folder / "data"), "--model", str(folder / "model"), "--json"]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {row["index"] for row in rows} == {"regions", "grid"}
    found = {(row["index"], row["metric"]): row["value"] for row in rows if row["size"] == "all"}
    assert all(0 <= value <= 1 for value in found.values())
    # Pictures are ranked by their global vectors whatever is stored of their places.
    by_global = "picture mAP by global"
    assert found["regions", by_global] == found["grid", by_global] > 0


def test_a_set_without_objects_has_nothing_to_find(folder: Path, tmp_path: Path):
    (tmp_path / "images").symlink_to(folder / "data" / "images")
    content = json.loads((folder / "data" / "captions.json").read_text())
    (tmp_path / "captions.json").write_text(json.dumps(content))
    with pytest.raises(EvalDataError, match="nothing to find"):
        CliRunner().invoke(
            evaluate,
            ["regions", str(tmp_path), "--model", str(folder / "model")],
            catch_exceptions=False,
        )
