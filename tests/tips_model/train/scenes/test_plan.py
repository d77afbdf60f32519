import numpy as np

from tests.tips_model.train.scenes import paint
from tips_model.train.scenes.plan import Catalogue, SceneSpec, place, plan_scenes


def _plan(spec: SceneSpec, scenes: int = 200, seed: int = 0):
    bank = paint.bank(concepts=8, drawings=2)
    return plan_scenes(np.random.default_rng(seed), Catalogue(bank), spec, scenes), bank


def test_scenes_hold_as_many_different_things_as_asked():
    plan, bank = _plan(SceneSpec(objects=(2, 5)))
    assert set(plan.count.tolist()) == {2, 3, 4, 5}
    for row in range(len(plan.count)):
        used = plan.drawing[row] >= 0
        assert used.sum() == plan.count[row]
        assert used[: plan.count[row]].all()
        concepts = plan.concept[row][used]
        assert len(set(concepts.tolist())) == len(concepts)
        assert (bank.concept[plan.drawing[row][used]] == concepts).all()


def test_all_drawings_of_a_concept_are_drawn_about_equally_often():
    plan, _ = _plan(SceneSpec(objects=(1, 1)), scenes=4000)
    counts = np.bincount(plan.drawing[:, 0], minlength=16)
    assert counts.min() > 190
    assert counts.max() < 310


def test_values_keep_to_their_ranges():
    spec = SceneSpec(objects=(1, 1), size=(0.5, 0.6), rotation=10, stretch=0.1, jitter=0.2)
    plan, _ = _plan(spec)
    assert plan.size.min() >= 0.5
    assert plan.size.max() <= 0.6
    assert np.abs(plan.angle).max() <= np.deg2rad(10)
    assert np.abs(plan.stretch - 1).max() <= 0.1
    assert np.abs(plan.tone - [0, 1, 1]).max() <= 0.2


def test_no_change_of_colour_when_none_is_asked_for():
    plan, _ = _plan(SceneSpec(hue=0, grey=0, jitter=0))
    assert (plan.hue == 0).all()
    assert (plan.tone == [0, 1, 1]).all()


def test_objects_stay_inside_and_hardly_overlap():
    rng = np.random.default_rng(0)
    size = np.full((300, 3), 0.3)
    centre = place(rng, size, np.ones((300, 3), bool))
    assert centre.min() >= 0.15 - 1e-9
    assert centre.max() <= 0.85 + 1e-9
    overlap = 0.0
    for a, b in ((0, 1), (0, 2), (1, 2)):
        gap = np.abs(centre[:, a] - centre[:, b])
        overlap += np.clip(0.3 - gap, 0, 0.3).prod(-1).mean() / 0.09
    assert overlap < 0.03


def test_plans_come_from_the_generator_alone_and_parts_are_slices():
    spec = SceneSpec()
    one, _ = _plan(spec, scenes=10, seed=5)
    two, _ = _plan(spec, scenes=10, seed=5)
    other, _ = _plan(spec, scenes=10, seed=6)
    np.testing.assert_array_equal(one.centre, two.centre)
    assert (one.centre != other.centre).any()
    np.testing.assert_array_equal(one.part(slice(3, 7)).drawing, one.drawing[3:7])
    np.testing.assert_array_equal(one.part(slice(3, 7)).background.rgb, one.background.rgb[3:7])
