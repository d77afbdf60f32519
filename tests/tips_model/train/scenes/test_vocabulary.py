from itertools import islice

import pytest

from tips_model.tokenizer import Tokenizer
from tips_model.train.scenes.captions import WEB_TEMPLATES
from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.vocabulary import (
    VOCABULARY_SIZE,
    corpus,
    train_tokenizer,
    whole_pieces,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer())


def test_training_gives_the_same_bytes_every_time(tokenizer: Tokenizer):
    assert train_tokenizer() == tokenizer.model_bytes
    assert tokenizer.vocab == VOCABULARY_SIZE


def test_names_synonyms_colours_and_places_are_whole(tokenizer: Tokenizer):
    for words in whole_pieces():
        assert len(tokenizer.encode(words)) == 1, words


def test_a_caption_is_short(tokenizer: Tokenizer):
    text = "a black cat to the left of a fire engine in the top right"
    assert len(tokenizer.encode(text)) == 9
    longest = max(len(tokenizer.encode(text)) for text in islice(corpus(), 1200))
    assert longest <= 64


def test_no_word_of_the_captions_is_unknown(tokenizer: Tokenizer):
    texts = [t.format(c.name) for t in WEB_TEMPLATES for c in CONCEPTS[:5]]
    for text in [*texts, "zebra, 2024!", "An UMBRELLA"]:
        assert 1 not in tokenizer.encode(text)
        assert 0 not in tokenizer.encode(text)
    assert 1 in tokenizer.encode("日本")
