"""What `bench/relations.py` takes for true of photographs, by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tips_model.eval.coco import CocoImage, CocoObject, CocoSet

BENCH = Path(__file__).parents[1] / "bench"
DOG, CAT = 0, 1
LEFT, RIGHT, MIDDLE, WIDE = (0, 0, 20, 90), (70, 0, 30, 100), (40, 40, 20, 20), (10, 0, 75, 100)
Box = tuple[int, int, int, int]


@pytest.fixture
def photos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`bench/relation_photos.py`, a script's own module."""
    monkeypatch.syspath_prepend(BENCH)
    import relation_photos

    return relation_photos


def picture(path: Path, *things: tuple[int, Box]) -> CocoImage:
    objects = tuple(CocoObject(category, None, box) for category, box in things)
    return CocoImage(path, 100, 100, (), objects)


@pytest.fixture
def data(tmp_path: Path) -> CocoSet:
    """A dog left of a cat and the other way round, twice each; two dogs; boxes that overlap; a cat
    alone.
    """
    file = tmp_path / "a.png"
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 0] = 255
    Image.fromarray(pixels).save(file)
    one, other = ((DOG, LEFT), (CAT, RIGHT)), ((CAT, LEFT), (DOG, RIGHT))
    images = (
        picture(file, *one),
        picture(file, *one),
        picture(file, *other),
        picture(file, *other),
        picture(file, (DOG, LEFT), (DOG, MIDDLE), (CAT, RIGHT)),
        picture(file, (DOG, WIDE), (CAT, RIGHT)),
        picture(file, (CAT, MIDDLE)),
    )
    return CocoSet(images, ("dog", "cat"))


def asked(photos: ModuleType, data: CocoSet) -> dict[str, list[float]]:
    """query -> truth."""
    import relation_questions

    rng = np.random.default_rng(0)
    found = relation_questions.questions(rng, photos.read_lie(data))
    return {query: truth.tolist() for _, query, _, _, truth in found}


def test_what_is_not_clear_counts_neither_way(photos: ModuleType, data: CocoSet) -> None:
    truth = asked(photos, data)
    unclear = np.nan
    # Several dogs leave it open, and boxes that overlap where the centres lie as asked.
    expected = [1, 1, 0, 0, unclear, unclear, 0]
    np.testing.assert_array_equal(truth["dog left of cat"], expected)
    np.testing.assert_array_equal(truth["cat right of dog"], expected)
    np.testing.assert_array_equal(truth["cat left of dog"], [0, 0, 1, 1, unclear, 0, 0])
    assert not any("above" in query for query in truth)
    np.testing.assert_array_equal(truth["dog AND cat"], [1, 1, 1, 1, 1, 1, 0])
    assert "dog and not cat" not in truth  # it is true of no picture
    np.testing.assert_array_equal(truth["dog on the left"], [1, 1, 0, 0, unclear, 0, 0])


def test_of_two_things_a_photograph_and_its_mirror_image_make_pairs(
    photos: ModuleType, data: CocoSet
) -> None:
    rng = np.random.default_rng(0)
    pairs, numbers = photos.mirrored_pairs(rng, photos.read_lie(data), 3)
    found = {(pair.query, int(number)) for pair, number in zip(pairs, numbers, strict=True)}
    kinds = [pair.relation for pair in pairs]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "left of": 3, "right of": 3, "position": 3,
    }  # fmt: skip
    for query, number in found:
        first = "dog" if number < 2 else "cat"
        if "left of" in query:
            assert query.startswith(first)
        elif "right of" in query:
            assert query.endswith(first)
    everything, _ = photos.mirrored_pairs(rng, photos.read_lie(data), 100)
    assert [pair.relation for pair in everything].count("left of") == 4
    right, wrong = photos.with_mirrored(data, np.array([0]))
    assert (right[:, ::-1] == wrong).all()
    assert right[0, 0, 0] == wrong[0, -1, 0] == 255
