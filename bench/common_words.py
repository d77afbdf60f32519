"""Common English words for a text tower to know, from WordNet's files and a sentence model.

    python bench/common_words.py /usr/share/wordnet all-MiniLM-L6-v2/vocab.txt > nouns.txt

Nouns of things that can be seen (animals, artefacts, food, plants, ...) and adjectives, of at most
three words, each of which the sentence model's vocabulary has as a whole: what is rare there has no
vector that means much. Names of persons and places are left out.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

VISIBLE = {5, 6, 8, 11, 13, 15, 17, 18, 19, 20, 27}
"""WordNet's lexicographer files: animal, artefact, body, event, food, location, object, person,
phenomenon, plant, substance (`lexnames(5WN)`)."""
NAMED = {15, 18}
"""Files of which capitalised lemmas are names of persons and places."""
LONGEST = 3
_NOUNS, _ADJECTIVE = re.compile(r"[A-Za-z' -]+"), re.compile(r"[a-z-]+")


def lemmas(folder: Path) -> Iterator[str]:
    """Lemmas of the visible nouns and of the adjectives, with repeats."""
    for part in ("noun", "adj"):
        for line in (folder / f"data.{part}").read_text("ascii").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields = line.split()
            file, count = int(fields[1]), int(fields[3], 16)
            if part == "noun" and file not in VISIBLE:
                continue
            for index in range(count):
                lemma = fields[4 + 2 * index].partition("(")[0].replace("_", " ")
                named = file in NAMED and lemma[0].isupper()
                form = _NOUNS if part == "noun" else _ADJECTIVE
                if not named and len(lemma.split()) <= LONGEST and form.fullmatch(lemma):
                    yield lemma.lower()


def known(word: str, vocabulary: set[str]) -> bool:
    """Whether a word or its singular is in the vocabulary."""
    return word in vocabulary or (word.endswith("s") and word[:-1] in vocabulary)


def main() -> None:
    """Print the words, sorted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wordnet", type=Path, help="folder of data.noun and data.adj")
    parser.add_argument("vocabulary", type=Path, help="vocab.txt of the sentence model")
    options = parser.parse_args()
    vocabulary = set(options.vocabulary.read_text("utf-8").splitlines())
    for lemma in sorted(set(lemmas(options.wordnet))):
        if len(lemma) > 1 and all(known(word, vocabulary) for word in re.split("[ -]", lemma)):
            print(lemma)


if __name__ == "__main__":
    main()
