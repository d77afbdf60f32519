"""Suggest first searches: everyday words that this collection answers with confidence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from search.word_lists import word_list

if TYPE_CHECKING:
    from search.searcher import Searcher

SEED = 0
TRIED = 80
"""Number of words to try: each costs a text and a search, and a large model encodes texts
slowly."""
CLEAR = 1.3
"""Minimum score of a suggestion's best photo. With this many words some pass the line (1) by
chance: on the demo with `nano`, all four words between the line and this value were wrong, and some
above it.
"""


def suggestions(searcher: Searcher, limit: int = 6) -> Iterator[str]:
    """At most `limit` of the words in `concepts.txt` that clearly find something, each with a
    different best photo; deterministic for a collection. Each word costs a search.
    """
    words = list(word_list("concepts"))
    random.Random(SEED).shuffle(words)
    words = words[:TRIED]
    seen: set[str] = set()
    for word in words:
        best = searcher.images(word, limit=1).hits
        if best and best[0].score >= CLEAR and best[0].id not in seen:
            seen.add(best[0].id)
            yield word
            if len(seen) == limit:
                return
