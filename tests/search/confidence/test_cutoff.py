import math
from dataclasses import replace

import numpy as np
import pytest

from search.confidence.cutoff import ALPHA, OWN, Gumbel, NullLaw, Scale, best_region

LAW = Gumbel(3.0, 0.25)


def tops(count: int, seed: int = 0, law: Gumbel = LAW) -> np.ndarray:
    return np.random.default_rng(seed).gumbel(law.mode, law.spread, count)


def test_the_quantile_is_the_inverse_of_the_law() -> None:
    for probability in (0.01, 0.5, 0.99):
        z = LAW.quantile(probability)
        assert math.exp(-math.exp(-(z - LAW.mode) / LAW.spread)) == pytest.approx(probability)


def test_a_fit_finds_the_law_that_the_tops_came_from() -> None:
    fitted = Gumbel.fit(tops(4000))
    assert fitted.mode == pytest.approx(LAW.mode, abs=0.02)
    assert fitted.spread == pytest.approx(LAW.spread, rel=0.05)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8])
def test_tops_that_found_something_do_not_move_the_line(share: float) -> None:
    found = int(300 * share)
    mixed = np.concatenate([tops(300 - found), tops(found, 1, Gumbel(8.0, 1.0))])
    fitted = Gumbel.search(mixed, tops(128, 2))
    assert fitted.quantile(0.99) == pytest.approx(LAW.quantile(0.99), abs=0.35)


def test_texts_that_spread_wider_than_their_mixtures_are_taken_in() -> None:
    wide = Gumbel(3.1, 0.35)
    fitted = Gumbel.search(tops(300, 3, wide), tops(128, 4))
    assert fitted.quantile(0.99) == pytest.approx(wide.quantile(0.99), abs=0.3)


def test_without_usable_tops_the_mixtures_decide() -> None:
    phantoms = tops(128)
    assert Gumbel.search([], phantoms) == Gumbel.fit(phantoms)
    assert Gumbel.search(np.full(300, 50.0), phantoms) == Gumbel.fit(phantoms)


def test_location_and_spread_do_not_see_a_minority_of_matches() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0.1, 0.02, (1, 20_000)).astype(np.float32)
    scores[0, :2000] += 0.5
    location, spread = Scale(0.1, 0.02).of(scores)
    assert location[0] == pytest.approx(0.1, abs=0.004)
    assert spread[0] == pytest.approx(0.02, rel=0.1)


def test_few_photos_lean_on_the_prior_as_so_many_more_photos() -> None:
    location, spread = Scale(0.5, 2.0).of(np.array([[3.0]], np.float32))
    own = OWN / 11
    assert location[0] == pytest.approx(3 * own + 0.5 * (1 - own))
    assert spread[0] == pytest.approx(math.sqrt(4.0 * (1 - own)))


def test_the_pooled_scale_counts_spread_within_and_between_texts() -> None:
    rng = np.random.default_rng(1)
    offsets = rng.normal(0, 3, (2000, 1))
    pooled = Scale.pooled((offsets + rng.normal(0, 4, (2000, 200))).astype(np.float32))
    assert pooled.location == pytest.approx(0, abs=0.3)
    assert pooled.spread == pytest.approx(5, rel=0.05)


def test_the_best_region_of_each_photo() -> None:
    scores = np.array([[1, 5, 2, 7, 0, 3]], np.float32)
    np.testing.assert_array_equal(best_region(scores, np.array([0, 2, 5])), [[5, 7, 3]])


def make_law() -> NullLaw:
    parts = {"global": tops(3000, 5), "region": tops(3000, 6), "both": tops(3000, 7)}
    phantoms = {kind: values[:1000] for kind, values in parts.items()}
    return NullLaw.fit(parts, phantoms, [("global", "region", "both"), ("region",)])  # type: ignore[arg-type]


def test_unrelated_tops_pass_the_line_as_often_as_alpha_says() -> None:
    law = make_law()
    z = {k: tops(40_000, 10 + i).astype(np.float32) for i, k in enumerate(law.parts)}
    scores = law.score(z)  # type: ignore[arg-type]
    assert np.mean(scores >= 1) == pytest.approx(ALPHA, rel=0.5)
    assert np.median(scores) == pytest.approx(0, abs=0.05)


def test_the_line_rises_by_what_the_whole_collection_gives_beyond_the_sample() -> None:
    law = make_law()
    sample = {k: tops(101, 20 + i).astype(np.float32) for i, k in enumerate(("global", "region"))}
    whole = {k: z + np.float32(0.5 * law.parts[k].spread) for k, z in sample.items()}  # type: ignore[index]
    grown = law.grown(sample, whole)  # type: ignore[arg-type]
    assert grown.growth["region",] == pytest.approx(0.5, rel=1e-5)
    assert grown.growth["global", "region", "both"] == pytest.approx(0.5, rel=1e-5)
    z = {"region": np.array([4.5], np.float32)}
    joint = law.joint["region",]
    span = joint.quantile(1 - ALPHA) - joint.quantile(0.5)
    fall = law.score(z)[0] - grown.score(z)[0]  # type: ignore[arg-type]
    assert fall == pytest.approx(0.5 / span, rel=1e-5)
    assert law.grown(whole, sample).growth["region",] == 0  # type: ignore[arg-type]


def test_a_law_grows_like_another_in_its_own_spreads() -> None:
    law = make_law()
    units = {kinds: 2.0 * joint.spread for kinds, joint in law.joint.items()}
    other = make_law().growing_like(replace(law, growth=units))
    for kinds, joint in other.joint.items():
        assert other.growth[kinds] == pytest.approx(2 * joint.spread)


def test_evidence_that_is_not_known_does_not_count() -> None:
    law = make_law()
    z, unknown = np.array([4.0], np.float32), np.array([-np.inf], np.float32)
    known = law.score({"global": z, "region": unknown, "both": unknown})
    best = law.score({"global": z, "region": z - 3, "both": z - 2})
    assert known == best
