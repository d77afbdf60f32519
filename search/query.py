"""Plain queries: weighted texts and pictures, and their one-line syntax.
`search/scenes/language.py` parses things with places (`dog left of car`) and passes everything else
to this module.

    2:red + mug - cup            weights, more of, less of (`- 3:cup` for far less of)
    "salt + pepper"              quotes keep a text in one piece
    ./corner.jpg + at night      a picture file (./, ../, ~/ or /) is a term like any other

`+` and `-` are signs only when they stand alone, so that `t-shirt` and `black-and-white` stay
words; a weight needs digits, a colon and no digit behind it, so that `16:9 screen` stays text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, GetPydanticSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core.core_schema import is_instance_schema

from search.errors import QueryError

if TYPE_CHECKING:
    from PIL import Image

TERM = re.compile(
    r"""
    (?P<sign>(?:^|(?<=\s))[+-](?=\s|$|"|\d+(?:\.\d+)?:(?!\d)))  # alone, or before a quote or weight
    | (?P<weight>(?<![^\s+-])\d+(?:\.\d+)?):(?!\d)
    | "(?P<quoted>[^"]*)"
    | (?P<word>\S+)
    """,
    re.VERBOSE,
)
Box = tuple[float, float, float, float]
Point = tuple[float, float]
LONGEST = 2000
"""Maximum characters of a query: many times what any model reads."""
Made = GetPydanticSchema(lambda kind, handler: is_instance_schema(kind))
"""Pydantic annotation of a field whose value is made in Python: an instance of the class, taken as
is."""
FILE_STARTS = ("./", "../", "~/", "/")


@dataclass(frozen=True, slots=True)
class Term:
    """A text and how much it counts: negative pushes away."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ImageTerm:
    """A picture and how much it counts: a file (`Path`), an indexed photo (its id) or a picture in
    memory.

    `box` (x0, y0, x1, y1), fractions of the upright picture, names a part of it; one outside the
    picture raises `QueryError`.
    """

    source: Path | str | Image.Image
    weight: float = 1.0
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.box is not None:
            check_box(self.box)

    def __str__(self) -> str:
        return str(self.source) if isinstance(self.source, Path | str) else "picture"


@dataclass(frozen=True, slots=True)
class Example:
    """A place in an indexed photo: a `box` (x0, y0, x1, y1) or a `point` (x, y), fractions of the
    upright photo; `positive` False for what shall not be found.

    Raises `QueryError` unless there is exactly one of the two and it lies in the picture.
    """

    image: Annotated[str, Field(alias="photo")]  # as JSON calls it
    box: Box | None = None
    point: Point | None = None
    positive: bool = True

    def __post_init__(self) -> None:
        if (self.box is None) == (self.point is None):
            raise QueryError("An example is a box or a point in a photo, one of the two.")
        if self.box is not None:
            check_box(self.box)
        if self.point is not None and not all(0 <= edge <= 1 for edge in self.point):
            raise QueryError(
                f"The point {self.point} is not inside the picture: x and y must be fractions "
                "from 0 to 1."
            )

    def __str__(self) -> str:
        numbers = self.box if self.box is not None else self.point
        assert numbers is not None
        return f"{self.image}@{','.join(f'{number:g}' for number in numbers)}"


@dataclass(frozen=True, slots=True)
class Query:
    """Texts and pictures that are searched for together.

    At least one term, weights finite and not 0, at least one positive, no empty text; anything else
    raises `QueryError`.
    """

    texts: tuple[Term, ...] = ()
    images: tuple[ImageTerm, ...] = ()

    def __post_init__(self) -> None:
        weights = [term.weight for term in self.texts] + [term.weight for term in self.images]
        if any(not _is_unicode(term.text) for term in self.texts):
            raise QueryError("The query is not valid Unicode text; type it again.")
        if not weights or any(not term.text.strip() for term in self.texts):
            raise QueryError("The query is empty: write what the photo should show.")
        if any(not math.isfinite(weight) or weight == 0 for weight in weights):
            raise QueryError("A weight must be a number other than 0, as in '2:red + mug'.")
        if max(weights) < 0:
            raise QueryError(
                f"'{self}' only says what not to show: add something to look for before the '-'."
            )

    @classmethod
    def of(cls, query: Query | str) -> Query:
        """The query itself, or the parsed text."""
        return query if isinstance(query, Query) else cls.parse(query)

    @classmethod
    def parse(cls, text: str) -> Query:
        """Parse the one-line syntax of the module's docstring. Raises `QueryError`."""
        texts: list[Term] = []
        images: list[ImageTerm] = []
        for term in _split(text):
            if isinstance(term, Term):
                texts.append(term)
            else:
                images.append(term)
        return cls(tuple(texts), tuple(images))

    def __str__(self) -> str:
        parts = [(term.weight, term.text) for term in self.texts]
        parts += [(image.weight, str(image)) for image in self.images]
        line = ""
        for weight, name in parts:
            sign = "- " if weight < 0 else "+ " if line else ""
            size = "" if abs(weight) == 1 else f"{abs(weight):g}:"
            line += f"{' ' if line else ''}{sign}{size}{name}"
        return line


@dataclass(frozen=True, slots=True)
class PlacedThing:
    """A thing in a layout: its text, or its query, and the `box` where it should be, fractions of
    the upright picture. Raises `QueryError` for a box outside the picture.
    """

    text: str | SkipJsonSchema[Annotated[Query, Made]]
    box: Box

    def __post_init__(self) -> None:
        check_box(self.box)


def check_box(box: Box) -> Box:
    """The box; raises `QueryError` unless x0, y0, x1, y1 are fractions that make one inside the
    picture.
    """
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise QueryError(
            f"The box {box} is not inside the picture: x0 < x1 and y0 < y1 must be fractions from "
            "0 to 1."
        )
    return box


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which represent bytes of another encoding on a command line."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_length(text: str) -> None:
    """Raise `QueryError` for a text that is too long to be typed by hand."""
    if len(text) > LONGEST:
        raise QueryError(
            f"The query has {len(text):,} characters, and at most {LONGEST:,} are read; shorten it."
        )


def _split(text: str) -> list[Term | ImageTerm]:
    check_length(text)
    if text.count('"') % 2:
        raise QueryError(
            f"A quote is not closed in {text!r} (at character {text.rindex(chr(34)) + 1})."
        )
    terms: list[Term | ImageTerm] = []
    words: list[str] = []
    quoted = False
    weight = 1.0
    sign = None

    def close(end: int) -> None:
        nonlocal words, quoted, weight
        if not words:
            if sign is not None or weight != 1.0:
                raise QueryError(f"Nothing to search for before character {end + 1} of {text!r}.")
            return
        signed = -weight if sign == "-" else weight
        terms.append(_term(" ".join(words), signed, quoted))
        words, quoted, weight = [], False, 1.0

    for match in TERM.finditer(text):
        if match["sign"]:
            close(match.start())
            sign = match["sign"]
        elif match["weight"] and not words:
            weight = float(match["weight"])
        elif match["quoted"] is not None:
            words.append(match["quoted"])
            quoted = True
        else:
            words.append(match[0])
    close(len(text))
    return terms


def _term(text: str, weight: float, quoted: bool) -> Term | ImageTerm:
    if quoted or not text.startswith(FILE_STARTS):
        return Term(text, weight)
    path = _file(text)
    if path is None:
        raise QueryError(
            f'There is no picture file {text}; put it in quotes ("{text}") to search for the text.'
        )
    return ImageTerm(path, weight)


def _file(text: str) -> Path | None:
    """The file with this path, else the one on disk that looks the same; None without one."""
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return path
        from indexer.folders.roots import existing  # with Polars, which other queries do not need

        path = existing(path.absolute())
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, an unknown home, half a character
        return None
