"""A tokenizer for a training table: sentencepiece pieces of the texts that the table knows."""

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
"""Characters of a text that are looked at."""


def train_pieces(texts: Iterable[str], pieces: int) -> bytes:
    """The serialised sentencepiece model (unigram) of at most `pieces` pieces for `texts`.

    Texts are in lower case, as the tokenizer makes them. Pad has id 0 and the unknown piece 1;
    there is neither a begin nor an end. The same texts give the same bytes. Raises `DataError` when
    the texts are too few for the pieces.
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
    """Write `tokenizer.model` of the texts that a table has sentence vectors for; returns its
    number of pieces. Raises `DataError` when there are no such vectors."""
    content = train_pieces(Sentences.read(folder).texts, pieces)
    with replacing(folder / TOKENIZER_FILE) as file:
        file.write(content)
    return Tokenizer(content).vocab
