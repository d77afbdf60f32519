"""Parse the words of one thing in a composed query: its count, size and position, and the remaining
text. See `search/scenes/language.py` for the rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token

from search.errors import QuerySyntaxError
from search.scenes.scene import CENTRE, MOST_COUNTED, Column, Count, Position, Row, Size

NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
}
SIZES: dict[str, Size] = {
    "tiny": "tiny",
    "small": "small",
    "big": "large",
    "large": "large",
    "huge": "huge",
}
ROWS: dict[str, Row] = {"top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
COLUMNS: dict[str, Column] = {"left": "left", "right": "right"}
MIDDLE = ("centre", "center", "middle")
SHORT = 3
"""When searching for places, a size or a number alone is a sign before at most this many words; 0
always is."""
LEADING = ("COMPARISON", "NUMBER", "SIZE", "UPPER_SIZE")
PLACES = ("PLACE", "UPPER_PLACE")
TRAILING = (*PLACES, "UPPER_SIZE")
SYMBOLS = ("<", ">", "=", "≤", "≥")
AMOUNT = re.compile(rf"\d+|\b(?:{'|'.join(NUMBERS)})\b")
ONLY = {"=", "exactly", "a single", "only", "just", ""}
FROM = {">=", "=>", "≥", "at least", "or more", "+"}
FROM |= {f"{no} {less} than" for no in ("no", "not") for less in ("fewer", "less")}
ABOVE = {">", "more than"}
UP_TO = {
    "<=",
    "=<",
    "≤",
    "at most",
    "up to",
    "or fewer",
    "or less",
    "no more than",
    "not more than",
}
BELOW = {"<", "fewer than", "less than"}
RANGES = {"between and", "to", "or", "-", "–"}
"""The words of a count without its numbers."""
MORE = re.compile(r"or (?:more|fewer|less)", re.IGNORECASE)
"""Behind the thing that is counted: "3 dogs or more"."""
FRAME = re.compile(
    r"(?:with\s+|any\s+)?(?:there\s+(?:is|are)\s+|(?:is|are)\s+(?:there\s+)?)?"
    r"(?:(?:an?\s+|the\s+)?(?:photo|picture|image)s?\s+(?:of|with)\s+)?"
    r"(?:there\s+(?:is|are)\s+)?(?:(?:an?|the|some|any)\s+)?",
    re.IGNORECASE,
)
"""Articles before the name of a thing."""
BARE_RELATION = re.compile(r"(?:(?:to|on|at)\s+the\s+)?(?:left|right)\s+of\b", re.IGNORECASE)
"""A text that begins like this lacks its subject."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A thing's words: what was parsed from them, and the range of its text in the query.

    `signs`: there was a count, size or position.
    """

    start: int
    end: int
    count: Count
    size: Size | None
    position: Position | None
    signs: bool

    def text(self, line: str) -> str:
        """The text of the thing, without its article and without parentheses around it."""
        text = " ".join(line[self.start : self.end].split())
        if text.count("(") == 1 and text.startswith("(") and text.endswith(")"):
            text = text[1:-1].strip() or text
        return FRAME.sub("", text, count=1) or text

    @classmethod
    def read(cls, tokens: Sequence[Token], line: str, *, small: bool) -> Phrase:
        """Parse the tokens of a thing. `small`: sizes and numbers in lower case are signs.

        Raises `QuerySyntaxError` for an invalid count or one with nothing to count, and for a
        second size or position.
        """
        rest = list(tokens)
        count, position = Count(), None
        size: Size | None = None
        signs = len(rest)
        while len(rest) > 1 and rest[-1].type in (*TRAILING, "COMMA"):
            if rest[-1].type == "COMMA":
                signs -= 1
            elif rest[-1].type == "UPPER_SIZE":
                size = _size(size, rest[-1], line)
            else:
                position = _joined(position, rest[-1], line)
            rest.pop()
        framed = next((n for n, token in enumerate(rest) if token.type in LEADING), 0)
        if framed and FRAME.fullmatch(line[_spot(rest[0])[0] : _spot(rest[framed])[0]]):
            signs -= framed
            del rest[:framed]
        if len(rest) > 3 and rest[0].type == "NUMBER" and MORE.fullmatch(" ".join(rest[-2:])):
            words = Token("COMPARISON", f"{rest[0]} {' '.join(rest[-2:])}", rest[0].start_pos)
            words.end_pos = rest[0].end_pos
            rest = [words, *rest[1:-2]]
        if rest[0].type == "COMPARISON" or (small and len(rest) > 1 and rest[0].type == "NUMBER"):
            count = _count(rest[0], line)
            if len(rest) == 1:
                raise QuerySyntaxError(
                    f"'{rest[0]}' needs a thing to count, as in '>=3 apples'.", line, _spot(rest[0])
                )
            rest.pop(0)
        sizes = ("UPPER_SIZE", "SIZE") if small else ("UPPER_SIZE",)
        while len(rest) > 1 and rest[0].type in sizes:
            size = _size(size, rest.pop(0), line)
        start, end = _spot(rest[0])[0], _spot(rest[-1])[1]
        return cls(start, end, count, size, position, len(rest) < signs)

    @staticmethod
    def check(tokens: Sequence[Token], line: str) -> None:
        """Raise `QuerySyntaxError` for a text that begins with `left of` or `right of` or with two
        positions.
        """
        start, end = _spot(tokens[0])[0], _spot(tokens[-1])[1]
        bare = BARE_RELATION.match(line[start:end])
        if bare and tokens[0].type != "PHRASE":
            spot = (start, start + len(bare[0]))
            raise QuerySyntaxError(f"'{bare[0]}' needs a thing before it.", line, spot)
        if len(tokens) > 2 and all(token.type in PLACES for token in tokens[:2]):
            raise QuerySyntaxError(
                f"'{tokens[1]}' is a second position; write one, behind the thing, as in "
                "'dog top left'.",
                line,
                _spot(tokens[1]),
            )

    def check_rest(self, tokens: Sequence[Token], line: str) -> None:
        """Raise `QuerySyntaxError` for a comparison within the text, and for a word at its start
        that joins or negates.
        """
        for token in tokens:
            begins = _spot(token)[0] == self.start and token.type == "WORD"
            if begins and token.lower() in ("and", "or"):
                raise QuerySyntaxError(f"'{token}' needs a thing before it.", line, _spot(token))
            if begins and len(tokens) > 1 and token.lower() in ("not", "no", "without"):
                raise QuerySyntaxError(
                    f"'{token}' cannot stand here; exclude the whole, as in 'dog and not (dog left "
                    "of cat)', or put text in quotes.",
                    line,
                    _spot(token),
                )
            inside = self.start <= _spot(token)[0] < self.end
            if inside and token.type == "COMPARISON" and token.startswith(SYMBOLS):
                raise QuerySyntaxError(
                    f"'{token}' must stand before what is counted, as in '>=3 apples'.",
                    line,
                    _spot(token),
                )


def _count(token: Token, line: str) -> Count:
    """The count of a comparison or of a plain number, which means exactly that many."""
    written = " ".join(token.lower().split())
    numbers = [NUMBERS.get(word) or int(word) for word in AMOUNT.findall(written)]
    sign = " ".join(AMOUNT.sub(" ", written).split())
    low: int = 1
    high: int | None = None
    if sign == "a single":
        numbers = [1]
    number = numbers[0] if numbers else None
    if number is not None and len(numbers) == 2 and sign in RANGES and numbers[0] <= numbers[1]:
        low, high = max(number, 1), numbers[1]
    elif number is not None and len(numbers) == 1:
        if sign in ABOVE:
            low = number + 1
        elif sign in FROM:
            low = number
        elif sign in BELOW:
            high = number - 1
        elif sign in UP_TO:
            high = number
        elif sign in ONLY:
            low = high = number
        else:
            number = None
    else:
        number = None
    if number is None:
        raise QuerySyntaxError(
            f"'{token}' is no count; write '>=3 apples', '<=2 apples' or '=1 apple'.",
            line,
            _spot(token),
        )
    if high is not None and high < 1:
        raise QuerySyntaxError(
            f"'{token}' counts none; write 'not' before the thing, as in 'dog and not cat'; quotes "
            "keep a number as text.",
            line,
            _spot(token),
        )
    if low < 1:
        raise QuerySyntaxError(
            f"'{token}' is true of every photo; leave it out, or write '>=1'.", line, _spot(token)
        )
    if max(low, high or 0) > MOST_COUNTED:
        raise QuerySyntaxError(
            f"'{token}' is too many: up to {MOST_COUNTED} can be counted in a photo; quotes keep "
            "a number as text.",
            line,
            _spot(token),
        )
    return Count(low, high)


def uncountable(token: Token) -> bool:
    """Whether it is a number above all counts, as in "50 cent"."""
    numbers = [int(word) for word in re.findall(r"\d+", token)] if token.type == "NUMBER" else []
    return any(number > MOST_COUNTED for number in numbers)


def _size(known: Size | None, token: Token, line: str) -> Size:
    """The size of a token; raises `QuerySyntaxError` if a size is already known."""
    if known is not None:
        raise QuerySyntaxError(
            f"'{token}' is a second size; write one, and put words that are meant as text in "
            "quotes.",
            line,
            _spot(token),
        )
    return SIZES[token.lower()]


def _joined(known: Position | None, token: Token, line: str) -> Position:
    """Combine a token's position with the known one: "at the top" and "on the left" are one.

    Raises `QuerySyntaxError` where both name the same axis.
    """
    one = _position(token)
    if known is None:
        return one
    if CENTRE in (one, known):  # "in the middle" is the axis that the other leaves free
        other = known if one == CENTRE else one
        if not (other.column and other.row):
            return Position(other.column or "centre", other.row or "centre")
    elif not ((one.column and known.column) or (one.row and known.row)):
        return Position(one.column or known.column, one.row or known.row)
    raise QuerySyntaxError(
        f"'{token}' and the position behind it do not go together; write one of them.",
        line,
        _spot(token),
    )


def _position(token: Token) -> Position:
    # "on the left-hand side of the picture": the last words may name the whole.
    words = re.findall(r"[a-z]+", token.lower().split(" of the ")[0])
    rows = [ROWS[word] for word in words if word in ROWS]
    columns = [COLUMNS[word] for word in words if word in COLUMNS]
    middle = any(word in MIDDLE for word in words)
    if middle and not rows:
        return CENTRE
    return Position(columns[0] if columns else "centre" if middle else "", rows[0] if rows else "")


def _spot(token: Token) -> tuple[int, int]:
    assert token.start_pos is not None
    assert token.end_pos is not None
    return token.start_pos, token.end_pos
