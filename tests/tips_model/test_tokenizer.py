"""Behaviour is pinned on a small byte-fallback BPE model of 400 pieces (data/tokenizer.model)."""

import pytest
import torch
from transformers.models.tipsv2.tokenization_tipsv2 import Tipsv2Tokenizer

from tests.tips_model.layouts import SMALL, TOKENIZER
from tips_model import TIPS
from tips_model.errors import WeightsError
from tips_model.tokenizer import TextError, Tokenizer

PINNED = {
    "a photo of a cat.": [274, 335, 329, 274, 268, 48],
    "A PHOTO of a Cat.": [274, 335, 329, 274, 268, 48],
    "red  cats": [320, 305],
    " a": [274],
    "dog\n": [269, 12],
    "zebra": [377, 124, 378, 391, 365],
    "é": [377, 197, 171],
    "É": [377, 197, 139],
    "Ünder": [377, 197, 158, 385, 317],
    "ß": [377, 197, 161],
    "車": [377, 234, 189, 140],
    "😀": [377, 242, 161, 154, 130],
}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(TOKENIZER)


@pytest.mark.parametrize("text", PINNED)
def test_ids_are_pinned(tokenizer, text):
    assert tokenizer.encode(text) == PINNED[text]


def test_only_ascii_letters_are_lowered(tokenizer):
    """`tf.strings.lower` leaves É alone; `str.lower` would not."""
    assert tokenizer.encode("CAT") == tokenizer.encode("cat")
    assert tokenizer.encode("É") != tokenizer.encode("é")


def test_ids_equal_those_of_transformers(tokenizer, tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(TOKENIZER.read_bytes())
    theirs = Tipsv2Tokenizer.from_pretrained(tmp_path)
    # It differs, as the newline does, in letters outside ASCII: it lowers them.
    for text in PINNED.keys() - {"É", "Ünder", "dog\n"}:
        assert theirs(text)["input_ids"] == tokenizer.encode(text)


def test_a_batch_is_padded_to_its_longest_text(tokenizer):
    batch = tokenizer(["a photo of a cat.", "red  cats"])
    assert batch.ids.tolist() == [[274, 335, 329, 274, 268, 48], [320, 305, 0, 0, 0, 0]]
    assert batch.paddings.tolist() == [[0] * 6, [0, 0, 1, 1, 1, 1]]
    assert batch.truncated == (False, False)
    assert batch.ids.dtype == batch.paddings.dtype == torch.int64
    assert tokenizer(["cat"], pad_to=64).ids.shape == (1, 64)


def test_a_long_text_does_not_change_a_short_one(tokenizer):
    """Upstream drops everyone's padding mask when one text of the batch is longer than 64."""
    model = TIPS(SMALL, seed=1).text.eval()
    short, long = "a red cat", "a red cat " * 40
    alone, batch = tokenizer([short]), tokenizer([short, long])
    assert batch.truncated == (False, True)
    assert batch.ids.shape == (2, 64)
    assert batch.paddings[0].tolist() == [0] * 3 + [1] * 61
    together = model(batch.ids, batch.paddings)[0]
    assert torch.allclose(together, model(alone.ids, alone.paddings)[0], atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_empty_text_is_refused(tokenizer, text):
    with pytest.raises(TextError, match="is empty"):
        tokenizer(["a cat", text])


def test_fingerprint_names_the_vocabulary(tokenizer):
    assert tokenizer.vocab == 400
    assert tokenizer.fingerprint == Tokenizer(TOKENIZER.read_bytes()).fingerprint
    assert tokenizer.fingerprint == "93ac65cbac2f8752"


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    path = tmp_path / "tokenizer.model"
    with pytest.raises(WeightsError, match="cannot be read"):
        Tokenizer(path)
    path.write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="not a sentencepiece model"):
        Tokenizer(path)
