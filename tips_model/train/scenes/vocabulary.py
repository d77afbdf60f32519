"""The tokenizer for scene captions: 1,024 sentencepiece pieces, trained on the captions themselves.

Names, their synonyms, colours, positions and the captions' other words are whole pieces, because a
trained model of this size would split even "black". The remaining pieces come from a list of common
English words, so that an unknown word still has tokens. Training is deterministic: fixed captions,
one thread. Pad has id 0 and the unknown piece 1, as in the TIPS tokenizer; there is no begin or end
token.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tips_model.train.scenes.backgrounds import KINDS, describe
from tips_model.train.scenes.captions import (
    JUNK,
    WEB_TEMPLATES,
    ObjectFacts,
    SceneFacts,
    synthetic_captions,
    web_caption,
)
from tips_model.train.scenes.colours import COLOUR_NAMES
from tips_model.train.scenes.concepts import CONCEPTS, NAMES

VOCABULARY_SIZE = 1024

_PLACES = (
    "top left", "top right", "bottom left", "bottom right", "top", "bottom", "left", "right",
    "centre", "to the left of", "to the right of", "above", "below",
)  # fmt: skip


def whole_pieces() -> list[str]:
    """Pieces never to split, longest first: names, synonyms, colours, places, captions' words."""
    words: set[str] = set(NAMES) | set(COLOUR_NAMES) | set(_PLACES)
    words.update(synonym for concept in CONCEPTS for synonym in concept.synonyms)
    frames = [*JUNK, *WEB_TEMPLATES, *(describe(k, 0, 1) for k in range(len(KINDS)))]
    words.update(re.findall("[a-z]{2,}", re.sub("{.}", "", " ".join(frames))))
    words.update(("in", "on", "at", "the", "and", "an", "of", "one", "two"))
    return sorted(words, key=lambda word: (-len(word), word))


def corpus(captions: int = 4000, seed: int = 0) -> Iterator[str]:
    """Captions of random scenes, then words that teach the pieces of unknown words."""
    rng = Random(seed)
    for _ in range(captions):
        objects = [
            ObjectFacts(name, rng.choice(COLOUR_NAMES), rng.random(), rng.random())
            for name in rng.sample(NAMES, rng.randint(1, 5))
        ]
        colours = (rng.randrange(len(COLOUR_NAMES)), rng.randrange(len(COLOUR_NAMES)))
        scene = SceneFacts(objects, describe(rng.randrange(len(KINDS)), *colours))
        yield web_caption(scene, rng, 0.4)
        yield from synthetic_captions(scene, rng)
    english = (Path(__file__).parent / "words.txt").read_text("ascii").splitlines()
    for _ in range(3):  # a piece must occur more than once
        yield from english


def train_tokenizer() -> bytes:
    """The serialised sentencepiece model; the same bytes on every call."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=out,
        model_type="unigram",
        vocab_size=VOCABULARY_SIZE,
        character_coverage=1.0,
        user_defined_symbols=["▁" + word.replace(" ", "▁") for word in whole_pieces()],
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()
