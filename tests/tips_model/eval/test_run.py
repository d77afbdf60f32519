from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from tests.tips_model.train.scenes import paint
from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.eval import run, tasks
from tips_model.eval.coco import (
    CocoSet,
    EvalDataError,
    fit_labels,
    label_map,
    load_pictures,
    read_coco_set,
    shown_names,
)
from tips_model.eval.encode import ImageFeatures, encode_images, encode_texts
from tips_model.eval.linear_probe import linear_probe, patch_labels
from tips_model.eval.ranking import name_figures
from tips_model.eval.run import evaluate, possible_tasks
from tips_model.eval.scenes import SceneEvaluator, questions_of
from tips_model.eval.segmentation import Confusion, class_scores
from tips_model.eval.tasks import TASKS, Options
from tips_model.model import TIPS
from tips_model.preprocess import prepare
from tips_model.tokenizer import Tokenizer
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.export import write_coco
from tips_model.train.scenes.plan import SPECS
from tips_model.train.scenes.vocabulary import train_tokenizer


@pytest.fixture(scope="module")
def model() -> TIPS:
    config = TIPSConfig(
        name="tiny",
        vision=VisionConfig(width=16, depth=2, heads=2, mlp_hidden=32, patch=8, grid=4),
        text=TextConfig(width=16, depth=1, heads=2, mlp_hidden=32, vocab=1024),
        image_size=32,
    )
    model = TIPS(config)
    model.tokenizer = Tokenizer(train_tokenizer())
    return model


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(bank=paint.bank())


@pytest.fixture(scope="module")
def data(source: SceneSource, tmp_path_factory: pytest.TempPathFactory) -> CocoSet:
    folder: Path = tmp_path_factory.mktemp("coco")
    write_coco(folder, source, SPECS["scenes"], 10, (32, 32))
    return read_coco_set(folder)


def test_images_are_encoded_in_batches_as_at_once(model: TIPS):
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    model.train()
    parts = encode_images(model, images, batch=2)
    assert model.vision.training
    with torch.inference_mode():
        out = model.eval().vision(images.float() / 255, values=True)
    torch.testing.assert_close(parts.cls_web, normalize(out.cls_web, dim=-1))
    torch.testing.assert_close(parts.patches, normalize(out.patches, dim=-1))


def test_every_patch_kind_gives_another_feature_and_leaves_the_model(model: TIPS):
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    kinds = [encode_images(model, images, patches=k) for k in ("values", "values_ffn", "final")]
    assert model.vision.dense == model.config.dense
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(kinds[first].patches, kinds[second].patches, atol=1e-3)
        torch.testing.assert_close(kinds[first].cls_web, kinds[second].cls_web)


def test_templates_are_averaged_as_unit_vectors(model: TIPS):
    one, two = encode_texts(model, ["a cat"]), encode_texts(model, ["a photo of a cat"])
    both = encode_texts(model, ["a cat"], templates=("{}", "a photo of {}"))
    torch.testing.assert_close(both, normalize((one + two) / 2, dim=-1))


def test_all_tasks_give_fractions(model: TIPS, data: CocoSet):
    table = evaluate(model, data)
    assert table["task"].unique(maintain_order=True).to_list() == list(TASKS)
    assert table["value"].is_between(0, 1).all()
    assert possible_tasks(data) == tuple(TASKS)


def whole(model: TIPS, data: CocoSet) -> tuple[ImageFeatures, torch.Tensor, torch.Tensor]:
    """All pictures (of one size) at once: their features, label maps, and the names."""
    pictures = load_pictures(data.images, partial(prepare, image_size=32, patch=8))
    labels = torch.stack([fit_labels(label_map(image), 32, 32) for image in data.images])
    return encode_images(model, torch.stack(pictures)), labels, encode_texts(model, data.categories)


def test_segmentation_is_the_argmax_over_names(model: TIPS, data: CocoSet):
    features, labels, names = whole(model, data)
    confusion = Confusion(len(names))
    for own, grid in zip(labels, features.patches, strict=True):
        confusion.add(own, class_scores(grid, names, 32, 32).argmax(0))
    table = evaluate(model, data, ["segmentation"])
    assert table["value"].to_list() == list(confusion.score())
    windows = evaluate(model, data, ["segmentation"], Options(window=32))
    assert windows["value"].to_list() == pytest.approx(table["value"].to_list())


def test_search_ranks_all_pictures_by_each_name_of_three(model: TIPS, data: CocoSet):
    features, _, names = whole(model, data)
    shows = shown_names(data)
    asked = shows.sum(axis=1) >= 3
    assert 0 < asked.sum() < len(asked)
    table = evaluate(model, data, ["search"])
    found = dict(zip(table["metric"], table["value"], strict=True))
    for head, own in (("web", features.cls_web), ("caption", features.cls_caption)):
        figures = name_figures((names @ own.T).numpy()[asked], shows[asked])
        assert {key: found[f"{head} {key}"] for key in figures} == pytest.approx(figures)
    assert found["chance P@1"] == pytest.approx(shows[asked].mean())


def test_the_probe_learns_from_even_pictures_and_is_scored_on_odd_ones(model: TIPS, data: CocoSet):
    features, labels, names = whole(model, data)
    known = torch.stack([patch_labels(own, 4, 4, len(names)).flatten() for own in labels])
    flat = features.patches.flatten(1, 2)
    score = linear_probe(
        flat[::2].flatten(0, 1), known[::2].flatten(), flat[1::2].flatten(0, 1),
        known[1::2].flatten(), len(names) + 1,
    )  # fmt: skip
    table = evaluate(model, data, ["probe"])
    assert table["value"].to_list() == pytest.approx(list(score), abs=1e-6)


def test_figures_do_not_depend_on_how_many_pictures_are_held(
    model: TIPS, data: CocoSet, monkeypatch: pytest.MonkeyPatch
):
    once = evaluate(model, data)
    monkeypatch.setattr(run, "CHUNK", 3)
    assert evaluate(model, data)["value"].to_list() == pytest.approx(once["value"].to_list())


def test_of_a_large_set_the_probe_keeps_evenly_spread_patches(
    model: TIPS, data: CocoSet, monkeypatch: pytest.MonkeyPatch
):
    setting = run._setting(model, data, Options())
    monkeypatch.setattr(tasks, "PROBE_FLOATS", 10 * 16 * 16 // 2 // 4)  # a quarter of the patches
    probe, places = tasks.ProbeTask(setting), []
    for view, _, _ in run.views(setting):
        probe.see(view)
        flat, kept = view.patches.flatten(0, 1), probe._halves[view.index % 2][-1]
        places.append([int((flat == one).all(1).nonzero()[0]) for one in kept])
    assert places == [list(range(index // 2 % 4, 16, 4)) for index in range(10)]


def test_tasks_without_data_are_refused_by_name(model: TIPS, data: CocoSet):
    with pytest.raises(EvalDataError, match="no task 'zoo'; there are names"):
        evaluate(model, data, ["zoo"])
    empty = CocoSet(data.images[:1], data.categories)
    with pytest.raises(EvalDataError, match=r"pointing needs instances\.json"):
        evaluate(model, empty, ["pointing"])
    few = CocoSet(data.images[:2], data.categories)
    with pytest.raises(EvalDataError, match=r"search needs .* a name that 3 pictures show"):
        evaluate(model, few, ["search"])
    assert "search" not in possible_tasks(few)


def test_questions_ask_for_every_object_that_is_large_enough(source: SceneSource):
    scenes = source.scenes(SPECS["scenes"], 20, (48, 48))
    questions = questions_of(scenes, least=24)
    expected = sum(
        int((scenes.owner[row] == place).sum() >= 24)
        for row in range(20)
        for place in range(scenes.plan.concept.shape[1])
    )
    assert len(questions.name) == expected
    for image, name, mask in zip(questions.image, questions.name, questions.mask, strict=True):
        places = scenes.owner[image][mask.numpy()]
        assert len(set(places.tolist())) == 1
        assert scenes.plan.concept[image, places[0]] == name


def test_the_scene_evaluator_gives_the_same_figures_again(model: TIPS, source: SceneSource):
    look = SceneEvaluator(single=20, many=20, single_size=32, size=32, sources={"seen": source})
    first = look(model)
    assert first == look(model)
    assert set(first) == {
        "seen name top1", "seen name top5", "seen text_to_image R@1", "seen text_to_image R@5",
        "seen pointing hit", "seen pointing hit_any", "seen pointing right_given_hit",
        "seen pointing chance", "seen pointing centred hit", "seen pointing centred hit_any",
        "seen pointing centred right_given_hit", "seen pointing centred chance",
    }  # fmt: skip
