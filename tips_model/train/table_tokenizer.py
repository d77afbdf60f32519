"""Trains a sentencepiece tokenizer on the texts of a training table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from tips_model.atomic import replacing
from tips_model.registry import TOKENIZER_FILE
from tips_model.tokenizer import Tokenizer
from tips_model.train.source import DataError
from tips_model.train.supervision import Sentences

LONGEST = 400
"""Characters of a text that are used."""


def train_pieces(texts: Iterable[str], pieces: int) -> bytes:
    """The serialised sentencepiece model (unigram) of at most `pieces` pieces for `texts`.

    Texts are lower-cased as the tokenizer does. Pad has id 0 and the unknown piece 1; there is no
    begin or end token. The same texts give the same bytes. Raises `DataError` if the texts are too
    few for the pieces.
    """
    import sentencepiece

    def lines() -> Iterator[str]:
        for text in texts:
            yield text.lower()[:LONGEST]

    out = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines(),
            model_writer=out,
            model_type="unigram",
            vocab_size=pieces,
            hard_vocab_limit=False,
            character_coverage=0.9999,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            split_digits=True,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(f"No tokenizer of {pieces} pieces can be made of these texts.") from error
    return out.getvalue()


def write_tokenizer(folder: Path, pieces: int) -> int:
    """Train `tokenizer.model` on the texts that have sentence vectors beside a table; returns its
    number of pieces. Raises `DataError` if there are no such vectors."""
    content = train_pieces(Sentences.read(folder).texts, pieces)
    with replacing(folder / TOKENIZER_FILE) as file:
        file.write(content)
    return Tokenizer(content).vocab
