"""Lossless conversion between file names (bytes) and text for catalog, JSON and terminal.

The two functions are exact inverses. A name that is valid UTF-8 stays unchanged. Every undecodable
byte 0xNN becomes the private-use character U+F7NN, and a valid name that itself contains one of
U+F780..U+F7FF has the bytes of that character escaped the same way, so no two names share a text.
The text is always valid Unicode.
"""

from __future__ import annotations

import re

_ESCAPED = range(0x80, 0x100)  # bytes that can be undecodable; ASCII always decodes
_TO_TEXT = {0xDC00 + byte: chr(0xF700 + byte) for byte in _ESCAPED}
_TO_SURROGATE = {0xF700 + byte: 0xDC00 + byte for byte in _ESCAPED}
_OWN = re.compile("[\uf780-\uf7ff]")


def to_text(path: bytes) -> str:
    """The text of a path, reversible by `to_bytes`, always valid Unicode."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        text = path.decode("utf-8", "surrogateescape")
    else:
        if text.isascii():
            return text
    text = _OWN.sub(lambda match: "".join(chr(0xDC00 + b) for b in match[0].encode()), text)
    return text.translate(_TO_TEXT)


def to_bytes(text: str) -> bytes:
    """The path with this text; raises `UnicodeEncodeError` for a lone surrogate."""
    if text.isascii():
        return text.encode()
    text.encode("utf-8")
    return text.translate(_TO_SURROGATE).encode("utf-8", "surrogateescape")


def from_argument(text: str) -> str:
    """A text from the command line, which may contain paths, always valid Unicode: bytes that are
    not UTF-8 reach Python as lone surrogates, and become what `to_text` makes of them.
    """
    return text if text.isascii() else text.translate(_TO_TEXT)


def shown(path: str) -> str:
    """A path for people, with control characters and lone bytes escaped."""
    return "".join(map(visible_char, to_bytes(path).decode("utf-8", "surrogateescape")))


def visible_char(char: str) -> str:
    """The character as people can see it, escaped where they cannot."""
    if 0xDC80 <= ord(char) <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def folders(path: str) -> list[str]:
    """All folders above a path, outermost first: '/a/b/c.jpg' gives ['/', '/a', '/a/b'], and
    's3://a/b/c.jpg' ['s3://a', 's3://a/b']."""
    scheme, mark, rest = path.partition("://")
    if mark and "/" not in scheme:
        parts = rest.split("/")[:-1]
        return [f"{scheme}://" + "/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    parts = path.split("/")[1:-1]
    return ["/", *("/" + "/".join(parts[:n]) for n in range(1, len(parts) + 1))]


def is_under(path: str, folder: str) -> bool:
    """Whether the path is the folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
