import pytest

from tips_model.train.scenes.concepts import CONCEPTS, NAMES, article


def test_there_are_enough_concepts_and_no_name_or_drawing_is_used_twice():
    slugs = [slug for concept in CONCEPTS for slug in concept.slugs]
    assert len(NAMES) >= 120
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(slugs)) == len(slugs)


def test_a_synonym_is_never_another_concepts_name():
    synonyms = [word for concept in CONCEPTS for word in concept.synonyms]
    assert not set(synonyms) & set(NAMES)


def test_concepts_are_parsed_from_the_table():
    cat = CONCEPTS[NAMES.index("cat")]
    assert cat.slugs == ("cat", "cat-face")
    assert cat.synonyms == ("kitten", "kitty")
    assert cat.group == "animals"
    assert CONCEPTS[NAMES.index("fire engine")].slugs == ("fire-engine",)


@pytest.mark.parametrize(
    ("noun", "phrase"),
    [("cat", "a cat"), ("apple", "an apple"), ("unicorn", "a unicorn"), ("grapes", "grapes"),
     ("umbrella", "an umbrella"), ("orange cat", "an orange cat")],
)  # fmt: skip
def test_article(noun: str, phrase: str):
    assert article(noun) == phrase
