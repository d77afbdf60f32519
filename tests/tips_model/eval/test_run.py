from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from tests.tips_model.train.scenes import paint
from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.eval.coco import CocoSet, EvalDataError, read_coco_set
from tips_model.eval.encode import encode_images, encode_texts
from tips_model.eval.run import TASKS, Options, encode_set, evaluate, possible_tasks
from tips_model.eval.scenes import SceneEvaluator, questions_of
from tips_model.eval.segmentation import Confusion, class_scores
from tips_model.model import TIPS
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


def test_segmentation_is_the_argmax_over_names(model: TIPS, data: CocoSet):
    seen = encode_set(model, data, Options())
    confusion = Confusion(len(seen.names))
    for labels, grid in zip(seen.labels, seen.patches, strict=True):
        confusion.add(labels, class_scores(grid, seen.names, 32, 32).argmax(0))
    table = evaluate(model, data, ["segmentation"])
    assert table["value"].to_list() == list(confusion.score())
    whole = evaluate(model, data, ["segmentation"], Options(window=32))
    assert whole["value"].to_list() == pytest.approx(table["value"].to_list())


def test_tasks_without_data_are_refused_by_name(model: TIPS, data: CocoSet):
    with pytest.raises(EvalDataError, match="no task 'zoo'; there are names"):
        evaluate(model, data, ["zoo"])
    empty = CocoSet(data.images[:1], data.categories)
    with pytest.raises(EvalDataError, match=r"pointing needs instances\.json"):
        evaluate(model, empty, ["pointing"])


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
