import pytest
import torch

from tests.tips_model.train.scenes import paint
from tips_model.train.config import Stage
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.concepts import NAMES, article
from tips_model.train.scenes.plan import SPECS
from tips_model.train.scenes.source import ScenesError


def _stage(data: str = "scenes", name: str = "s") -> Stage:
    return Stage(name=name, data=data, steps=10, batch=8, resolution=32)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(seed=3, bank=paint.bank())


def test_a_batch_is_a_pure_function_of_stage_and_step(source: SceneSource):
    other = SceneSource(seed=3, bank=paint.bank())
    other.batch(_stage(), 0, 0, 1, 8)
    one, two = source.batch(_stage(), 4, 0, 1, 8), other.batch(_stage(), 4, 0, 1, 8)
    assert torch.equal(torch.as_tensor(one.images), torch.as_tensor(two.images))
    assert (one.web, one.synthetic) == (two.web, two.synthetic)


def test_step_stage_and_seed_change_the_batch(source: SceneSource):
    base = source.batch(_stage(), 4, 0, 1, 8).synthetic
    assert source.batch(_stage(), 5, 0, 1, 8).synthetic != base
    assert source.batch(_stage(name="t"), 4, 0, 1, 8).synthetic != base
    assert SceneSource(seed=4, bank=paint.bank()).batch(_stage(), 4, 0, 1, 8).synthetic != base


def test_two_processes_share_the_items_of_one(source: SceneSource):
    whole = source.batch(_stage(), 2, 0, 1, 8)
    parts = [source.batch(_stage(), 2, rank, 2, 4) for rank in range(2)]
    assert torch.equal(torch.cat([torch.as_tensor(p.images) for p in parts]), whole.images)
    assert [*parts[0].web, *parts[1].web] == whole.web


def test_single_objects_are_named_as_they_are(source: SceneSource):
    made = source.scenes(SPECS["objects-plain"], 16, (32, 32))
    assert made.web == [article(NAMES[c]) for c in made.plan.concept[:, 0]]
    assert made.images.shape == (16, 3, 32, 32)
    expected = torch.tensor(paint.COLOURS)[torch.from_numpy(made.plan.concept[:, 0]) % 5]
    for image, (x, y), colour in zip(made.images, made.plan.centre[:, 0], expected, strict=True):
        pixel = torch.from_numpy(image[:, int(y * 32), int(x * 32)].astype("int64"))
        assert (pixel - colour).abs().max() <= 2


def test_facts_tell_the_colour_after_hue_rotation(source: SceneSource):
    made = source.scenes(SPECS["scenes"], 60, (32, 32))
    for row, facts in enumerate(made.facts):
        for place, item in enumerate(facts.objects):
            assert item.name == NAMES[made.plan.concept[row, place]]
            if made.plan.hue[row, place] == 0:
                own = ("red", "green", "blue", "yellow", "pink")
                assert item.colour == own[made.plan.concept[row, place] % 5]


def test_unknown_scenes_are_refused_with_the_known_names(source: SceneSource):
    with pytest.raises(ScenesError, match=r"no scenes 'zoo'; there are objects-plain, objects"):
        source.batch(_stage("zoo"), 0, 0, 1, 8)
