"""The tokenizer: ASCII lower-casing, sentencepiece ids, right padding with 0.

The official code lower-cases with `tf.strings.lower`, which changes A-Z only, so other letters are
left alone here too. There is no begin or end token. Padding is based on each text's own length.
"""

import hashlib
import string
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import sentencepiece
import torch
from torch import Tensor

from tips_model.errors import TipsError, WeightsError

PAD_ID = 0
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class TextError(TipsError):
    """A text that cannot be encoded."""


class TokenBatch(NamedTuple):
    """ids (B,L) int64, paddings (B,L) int64 with 1 at padding, truncated: one bool per text."""

    ids: Tensor
    paddings: Tensor
    truncated: tuple[bool, ...]


class Tokenizer:
    """A sentencepiece model with the TIPS conventions; thread safe.

    `fingerprint` identifies the vocabulary: the first 16 hex digits of the file's sha256.
    """

    def __init__(self, source: str | Path | bytes, max_length: int = 64) -> None:
        try:
            self.model_bytes = source if isinstance(source, bytes) else Path(source).read_bytes()
        except OSError as error:
            raise WeightsError(
                f"The tokenizer {source!s} cannot be read ({error.strerror})."
            ) from error
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(self.model_bytes)
        except (RuntimeError, ValueError) as error:
            name = "given" if isinstance(source, bytes) else str(source)
            raise WeightsError(f"The tokenizer {name} is not a sentencepiece model.") from error
        self.max_length = max_length
        self.fingerprint = hashlib.sha256(self.model_bytes).hexdigest()[:16]

    @property
    def vocab(self) -> int:
        """Number of pieces."""
        return int(self._pieces.GetPieceSize())

    def encode(self, text: str) -> list[int]:
        """All ids of one text, neither truncated nor padded; may be empty."""
        ids = self._pieces.EncodeAsIds(text.translate(_ASCII_LOWER))
        return [int(token) for token in ids]

    def __call__(self, texts: Sequence[str], *, pad_to: int | None = None) -> TokenBatch:
        """Tokenise texts, truncated at `max_length`, padded to the longest (or to `pad_to` tokens).

        A text without any token raises TextError: it would attend to nothing.
        """
        rows = [self.encode(text) for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if not row:
                raise TextError(f"The text {text!r} is empty: write at least one word.")
        truncated = tuple(len(row) > self.max_length for row in rows)
        rows = [row[: self.max_length] for row in rows]
        length = max((len(row) for row in rows), default=1)
        if pad_to is not None:
            if pad_to < length:
                raise ValueError(f"pad_to {pad_to} is shorter than the longest text, {length}")
            length = pad_to
        ids = torch.full((len(rows), length), PAD_ID, dtype=torch.int64)
        paddings = torch.ones((len(rows), length), dtype=torch.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
            paddings[index, : len(row)] = 0
        return TokenBatch(ids, paddings, truncated)
