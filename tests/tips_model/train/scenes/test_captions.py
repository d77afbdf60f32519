from random import Random

import pytest

from tips_model.train.scenes.captions import (
    JUNK,
    ObjectFacts,
    SceneFacts,
    full_caption,
    list_caption,
    name_captions,
    position,
    relation,
    relation_caption,
    synthetic_captions,
    web_caption,
)

CAT = ObjectFacts("cat", "grey", 0.1, 0.1)
APPLE = ObjectFacts("apple", "", 0.9, 0.2)
GRAPES = ObjectFacts("grapes", "purple", 0.5, 0.9)
SCENE = SceneFacts([CAT, APPLE, GRAPES], "red background")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [(0.1, 0.1, "top left"), (0.5, 0.5, "centre"), (0.99, 0.5, "right"), (0.5, 1.0, "bottom")],
)
def test_position(x: float, y: float, words: str):
    assert position(x, y) == words


def test_relation_follows_the_larger_difference():
    assert relation(CAT, APPLE) == "to the left of"
    assert relation(APPLE, CAT) == "to the right of"
    assert relation(GRAPES, CAT) == "below"
    assert relation(CAT, GRAPES) == "above"


def test_the_full_caption_names_everything_and_the_background():
    for seed in range(20):
        text = full_caption(SCENE, Random(seed))
        assert all(name in text for name in ("cat", "apple", "grapes"))
        assert text.endswith(" on a red background")


def test_a_list_names_everything_once_without_places():
    assert list_caption(SceneFacts([APPLE], ""), Random(0)) == "an apple"
    text = list_caption(SCENE, Random(1))
    assert text.count("cat") == text.count("apple") == text.count("grapes") == 1
    assert " and " in text
    assert "left" not in text


def test_a_relation_is_true():
    truth = {
        ("cat", "apple"): "to the left of", ("apple", "cat"): "to the right of",
        ("cat", "grapes"): "above", ("grapes", "cat"): "below",
        ("apple", "grapes"): "above", ("grapes", "apple"): "below",
    }  # fmt: skip
    for seed in range(20):
        text = relation_caption(SCENE, Random(seed))
        first, second = sorted(("cat", "apple", "grapes"), key=text.find)[-2:]
        assert truth[first, second] in text


def test_of_one_object_its_place_is_told():
    assert relation_caption(SceneFacts([CAT], ""), Random(0)) == "a grey cat in the top left"


def test_single_objects_get_the_bare_name():
    web, synthetic = name_captions(SceneFacts([GRAPES], "blue ground"))
    assert web == "grapes"
    assert synthetic == ["purple grapes on a blue ground"]


def test_clean_web_captions_name_one_or_two_objects():
    rng = Random(0)
    for _ in range(200):
        text = web_caption(SCENE, rng, junk=0)
        named = sum(any(w in text for w in words) for words in
                    (("cat", "kitten", "kitty"), ("apple",), ("grapes",)))  # fmt: skip
        assert named in (1, 2)


def test_junk_comes_as_often_as_asked_and_sometimes_alone():
    rng = Random(0)
    texts = [web_caption(SCENE, rng, junk=0.4) for _ in range(2000)]
    alone = sum(not any(w in t for w in ("cat", "kitt", "apple", "grapes")) for t in texts)
    stems = [
        template.split("{")[0].strip()
        for template in JUNK
        if not template.startswith(("new", "photo"))
    ]
    junk = sum(any(stem in text for stem in stems) for text in texts)
    assert 0.03 < alone / len(texts) < 0.07
    assert 0.31 < junk / len(texts) < 0.41  # two of the junk texts are not looked for


def test_captions_are_functions_of_the_seed():
    assert synthetic_captions(SCENE, Random(3)) == synthetic_captions(SCENE, Random(3))
    assert len({tuple(synthetic_captions(SCENE, Random(s))) for s in range(10)}) > 5
