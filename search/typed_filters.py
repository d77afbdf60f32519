"""Filters typed among the words of a query, and dates in it that could be one.

    typed_filters("squirrel date:2023 -in:Trash")  # words: squirrel; filter: date:2023 -in:Trash

Only the names of filters make a word a filter, and quotes keep it a word. Dates as people write
them stay words, since a photo may show a number: a note offers the filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from search.filters import FIELDS, MONTHS, TOKEN

_TERM = re.compile(r"(?P<open>\(*)(?P<term>-?(?P<name>[A-Za-z]{2,}):(?P<value>\S.*))$", re.DOTALL)
_JOINED = re.compile(r"(?:\s*,|(?:^|[\s,]+)(?:and|AND))\s*$|^\s*(?:and|AND|,)\s+")
_MONTH = r"(?P<month>jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_YEAR = r"(?P<year>19[5-9]\d|20\d\d)"
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}


@dataclass(frozen=True, slots=True)
class Typed:
    """words: what is left to look for. filter: the filters among them, as `--filter` takes them.
    notes: sentences about words that look like filters or dates.
    """

    words: str
    filter: str
    notes: tuple[str, ...] = ()


def typed_filters(text: str, today: date | None = None) -> Typed:
    """The words and the filters of a text. today: what "last year" is counted from."""
    if text.count('"') % 2:  # refused where the words are read
        return Typed(text, "")
    words, filters, unknown = list[str](), list[str](), list[str]()
    for token in TOKEN.finditer(text):
        found = _TERM.match(token[0])
        if found is None or "://" in token[0]:
            words.append(token[0])
        elif found["name"].lower() in FIELDS:
            term, rest = _split(found["term"])
            filters.append(term)
            if found["open"] or rest:
                words.append(found["open"] + rest)
        else:
            words.append(token[0])
            unknown.append(token[0].strip("(),;.?!"))
    left = " ".join(words) if filters else text
    notes = [_unknown(unknown)] if unknown else []
    if filters:
        left = _JOINED.sub("", left.replace(" ,", ",").replace(" )", ")")).strip()
    if not any(term.startswith("date:") for term in filters):
        notes += _dates(left, today or date.today())
    return Typed(left, " ".join(filters), tuple(notes))


def _split(term: str) -> tuple[str, str]:
    """A term, and what follows it: parentheses that are not its own, and commas."""
    if term.endswith('"'):
        return term, ""
    kept = _without_end(term)
    while kept.endswith(")") and kept.count(")") > kept.count("("):
        kept = _without_end(kept[:-1])
    return kept, "".join(char for char in term[len(kept) :] if char in "),")


def _without_end(term: str) -> str:
    """Without punctuation that closes a sentence; two dots belong to a range."""
    bare = term.rstrip(",;?!")
    return bare[:-1] if re.search(r"(?:^|[^.])(?:\.{2})?\.$", bare) else bare


def _unknown(terms: list[str]) -> str:
    names = ", ".join(f"{name}:" for name in FIELDS)
    verb = "is no filter and is" if len(terms) == 1 else "are no filters and are"
    shown = ", ".join(f"'{term}'" for term in terms)
    return f"{shown} {verb} read as words; the filters are {names}"


def _dates(words: str, today: date) -> list[str]:
    """A note for the first date in a text that is not quoted."""
    plain = re.sub(r'"[^"]*"', " ", words)
    for pattern, meant in _DATES:
        found = pattern.search(plain)
        if found is not None:
            return [f"For photos taken {found['said'].strip()}, add {meant(found, today)}"]
    return []


def _of_month(found: re.Match[str], today: date) -> str:
    return f"date:{found['year']}-{_number(found):02}"


def _any_month(found: re.Match[str], today: date) -> str:
    return f"month:{_number(found)}"


def _of_year(found: re.Match[str], today: date) -> str:
    return f"date:{found['year']}"


def _of_season(found: re.Match[str], today: date) -> str:
    """Of the northern half of the Earth; a winter ends in the next year."""
    first = _SEASONS[found["season"].lower()]
    year = int(found["year"]) if found["year"] else today.year
    if not found["year"] and (year, first + 2) >= (today.year, today.month):
        year -= 1
    last = f"{year + 1}-02" if first == 12 else f"{year}-{first + 2:02}"
    return f"date:{year}-{first:02}..{last}"


def _recent(found: re.Match[str], today: date) -> str:
    said = " ".join(found["said"].lower().split())
    monday = today - timedelta(days=today.weekday() + 7)
    month = today.replace(day=1) - timedelta(days=1)
    return (
        "date:"
        + {
            "today": f"{today}",
            "yesterday": f"{today - timedelta(days=1)}",
            "last week": f"{monday}..{monday + timedelta(days=6)}",
            "last month": f"{month:%Y-%m}",
            "this month": f"{today:%Y-%m}",
            "last year": f"{today.year - 1}",
            "this year": f"{today.year}",
        }[said]
    )


def _number(found: re.Match[str]) -> int:
    return MONTHS.index(found["month"][:3].lower()) + 1


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?P<said>{text})(?![\w-])", re.IGNORECASE)


_SEASON = rf"(?P<season>{'|'.join(_SEASONS)})"
_WHOLE = (
    "(?P<month>january|february|march|april|may|june|july|august|september|october|november|"
    "december)"
)
_DATES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], str]], ...] = (
    (_pattern(rf"(?:in |from |of )?{_MONTH},? (?:of )?{_YEAR}"), _of_month),
    (_pattern(rf"(?:in |from )?(?:the |this )?{_SEASON}(?: of)? {_YEAR}"), _of_season),
    (_pattern(rf"last {_SEASON}(?P<year>)"), _of_season),
    (_pattern("today|yesterday|last (?:week|month|year)|this (?:month|year)"), _recent),
    (_pattern(rf"(?:in|from|during) {_YEAR}"), _of_year),
    (_pattern(rf"(?:in|from|during) {_WHOLE}"), _any_month),
    (_pattern(_YEAR), _of_year),
)
