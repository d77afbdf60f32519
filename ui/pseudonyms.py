"""Pseudonyms for names and paths in reports, so that a report does not reveal whose photos they
are.

A path becomes `root1/…/3f2a9c51.jpg`: its root's number and a keyed hash. The key is created once
per collection and stays with it, so that two reports of one collection can be compared, and nobody
else can test guessed names.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import polars as pl

from indexer.folders.ignore import EXTENSIONS, extension
from indexer.folders.paths import is_under, to_bytes

KEY = "report.key"
NAME, PATH = "<name>", "<path>"
_WORD = re.compile(r"[^\W_]+")
_WORDS = r"[\p{L}\p{N}\p{M}]+"


class Pseudonyms:
    """Knows the words of all private names.

    key: secret bytes. roots: absolute paths as text, in the order of their numbers. paths: of all
    photos. others: more private texts, such as the collection's folder and the host name.
    """

    def __init__(
        self, key: bytes, roots: Sequence[str], paths: pl.Series, others: Iterable[str]
    ) -> None:
        self._key, self._roots = key, tuple(roots)
        texts = pl.concat([paths.cast(pl.String), pl.Series([*roots, *others], dtype=pl.String)])
        words = texts.str.extract_all(_WORDS).explode(empty_as_null=True).drop_nulls()
        self._words = frozenset(words.str.to_lowercase().unique().to_list())

    def root(self, root: str) -> str:
        """`root1` and so on; `root?` for an unknown one."""
        return f"root{self._roots.index(root) + 1}" if root in self._roots else "root?"

    def path(self, path: str) -> str:
        """A file's pseudonym in a report."""
        root = next((root for root in self._roots if is_under(path, root)), "")
        digest = blake2b(to_bytes(path), key=self._key, digest_size=4).hexdigest()
        ending = extension(to_bytes(path))
        known = f".{ending}" if ending in EXTENSIONS else ""
        return f"{self.root(root)}/…/{digest}{known}"

    def sentence(self, text: str) -> str:
        """A message of the program without paths, and without any word of a private name.

        Words that occur in both a private name and the message are removed too: better a gap than a
        name.
        """
        return " ".join(self._token(token) for token in text.split())

    def _token(self, token: str) -> str:
        if "/" in token or "\\" in token:
            return PATH
        if not token.isascii():  # no message of the program has other letters
            return NAME
        return _WORD.sub(lambda match: NAME if self._private(match[0]) else match[0], token)

    def _private(self, word: str) -> bool:
        return word.lower() in self._words


def report_key(folder: Path) -> bytes:
    """The secret key of the collection whose logs are in `folder`; created if missing. If it cannot
    be stored, it is valid for one report only.
    """
    try:
        folder.mkdir(exist_ok=True)
        made = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return (folder / KEY).read_bytes()[:64] or secrets.token_bytes(16)
    except OSError:
        return secrets.token_bytes(16)
    key = secrets.token_bytes(16)
    with open(made, "wb") as file:
        file.write(key)
    return key


def private_texts(folder: Path) -> list[str]:
    """Private texts besides photos that identify the machine: folders, user and host."""
    home = os.path.expanduser("~")
    return [str(folder), home, os.path.basename(home), socket.gethostname(), os.getcwd()]
