"""Parse the text of `--filter` into a filter of the vector store.

    camera:canon date:2021-05 in:"Trip to Rome" near:48.1,11.5,20km type:jpeg|png -has:gps

Terms are joined by "and", `|` means "or" (between values, or alone between groups of terms), a
leading `-` negates. Quotes protect blanks and bars in a value; a quote within quotes is doubled.
Names of cameras, lenses and folders may be partial, or whole after `=`: `resolve` looks up the
matching values of the collection. All are compared as people see them (`indexer/names.py`), so the
values in the vector store need no normal form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from indexer.fields import FIELDS as FACTS
from indexer.fields import written
from indexer.folders.ignore import RAW_EXTENSIONS
from indexer.folders.paths import from_argument, shown, visible_char
from indexer.names import all_comparable, comparable
from indexer.vectors import All, AnyOf, Filter, Has, Match, Near, Not, Range, Within
from search.errors import FilterError
from search.photo_lookup import LOOKED_UP, weekdays

TOKEN = re.compile(r"""(?P<bar>\|)(?=\s|$)|(?P<term>(?:"[^"]*"|[^\s"])+)""")
QUOTE_OR_BAR = re.compile(r'"[^"]*"|\|')
LONGEST = 10_000
"""Maximum characters of a filter; one written by a page may name many folders."""
DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2})(?::(\d\d))?)?)?)?$", re.ASCII)
TIME = re.compile(r"(\d{1,2})(?::(\d\d))?$", re.ASCII)
PLACE = re.compile(r"([-+]?\d+(?:\.\d+)?),([-+]?\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?)(km|m)?)?$")
DEGREES = re.compile(r"[-+]?\d+(?:\.\d+)?$")
SIDE = re.compile(r"\d{0,9}$")
COMPARED = re.compile(r"([<>]=)(\d{1,9})$")
TEXTS, NUMBERS = written("text"), written("number")
NAMES = (*TEXTS, "in", "name", "path")  # fields whose values may begin and end with blanks
PRESENT = {"gps": "place", "place": "place", "date": "taken"} | {name: name for name in TEXTS}
TYPES = {
    **{name: name for name in ("jpeg", "png", "webp", "tiff", "gif", "bmp", "heif", "avif")},
    **{name: name for name in ("jxl", "jpeg2000", "psd", "mpo", "raw")},
    "jpg": "jpeg",
    "tif": "tiff",
    "heic": "heif",
    "jp2": "jpeg2000",
    "j2k": "jpeg2000",
    "photoshop": "psd",
    "jpeg-xl": "jxl",
    "vnd.adobe.photoshop": "psd",
    **dict.fromkeys(RAW_EXTENSIONS, "raw"),
}
"""Types of pictures by what people call them; media types without `image/`."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NEAR_KM = 10.0
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
EXACT = "="


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A filter term that matches no value of the collection: its field and its text."""

    field: str
    text: str

    def __str__(self) -> str:
        """The message for the user."""
        field = {"folders": "folder", "name": "file name"}.get(self.field, self.field)
        if field == "weekday":
            return f"No photo of the collection was taken on a {self.text}."
        if field == "month":
            return f"No photo of the collection has a date in month {self.text.lstrip('-0')}."
        return f"No {field} of the collection fits '{self.text.removeprefix(EXACT)}'."


def parse_filter(expr: str) -> Filter | None:
    """Parse a filter expression; None for an empty one. Raises `FilterError` for a syntax error."""
    groups = [tuple(_term(term) for term in terms) for terms in term_groups(expr)]
    alternatives = [parts[0] if len(parts) == 1 else All(parts) for parts in groups if parts]
    if not alternatives:
        return None
    return alternatives[0] if len(alternatives) == 1 else AnyOf(tuple(alternatives))


def term_groups(expr: str) -> list[list[str]]:
    """The texts of the terms; groups are joined by "or", terms of a group by "and". One empty group
    for an empty expression. Raises `FilterError` for an open quote, a bar without an operand, or
    half of a surrogate pair.
    """
    expr = from_argument(expr)
    if len(expr) > LONGEST:
        raise FilterError(
            f"The filter has {len(expr):,} characters, and at most {LONGEST:,} are read; "
            "shorten it."
        )
    if expr.count('"') % 2:
        raise FilterError(
            f"A quote is not closed in the filter (at character {expr.rindex(chr(34)) + 1})."
        )
    try:
        expr.encode()
    except UnicodeEncodeError as error:
        raise FilterError(
            f"The filter has half of a character (at character {error.start + 1}); write it whole."
        ) from error
    groups: list[list[str]] = [[]]
    for token in TOKEN.finditer(expr):
        if token["bar"]:
            groups.append([])
        else:
            groups[-1].append(token["term"])
    if len(groups) > 1 and not all(groups):
        raise FilterError("A '|' in the filter needs a term on both sides.")
    return groups


def term_values(term: str) -> tuple[str, list[str]]:
    """The field of a term, including a leading `-`, and its unquoted values."""
    name, _, rest = term.partition(":")
    return name.lower(), [_unquoted(value) for value in _alternatives(rest)]


def _alternatives(text: str) -> list[str]:
    """Split a text at bars outside of quotes."""
    parts, start = list[str](), 0
    for match in QUOTE_OR_BAR.finditer(text):
        if match[0] == "|":
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def resolve(
    filter: Filter,
    values: Callable[[str], Iterable[str]],
    photos: Callable[[str, str], Iterable[str]] | None = None,
) -> tuple[Filter, tuple[Unmatched, ...]]:
    """Replace partial names by the matching values of the collection.

    `values(field)` returns the collection's values of a keyword field. A camera or lens matches
    when it contains the text, a folder when it is the given path or ends with the name, any of them
    after `=` when it equals the text. Names are compared by `comparable`; of two that differ only
    in what that ignores, a folder's path and a text after `=` mean the exact one if there is one.
    What nothing fits is also compared with names as listings print them, such as `caf\\xe9`.
    Unmatched terms find nothing and are also returned. `photos(field, text)` looks up the ids of
    photos for what points do not carry (`photo_lookup.LOOKED_UP`).
    """
    unmatched: list[Unmatched] = []

    def looked_up(part: Match) -> Filter:
        assert photos is not None, "a name is looked up in a catalog"
        found: dict[str | int, None] = {}
        for asked in map(str, part.values):
            ids = list(photos(part.field, asked))
            if not ids:
                unmatched.append(Unmatched(part.field, asked))
            found |= dict.fromkeys(ids)
        return Match("image", tuple(found))

    def walk(part: Filter) -> Filter:
        if isinstance(part, All | AnyOf):
            return type(part)(tuple(walk(inner) for inner in part.parts))
        if isinstance(part, Not):
            return Not(walk(part.part))
        if isinstance(part, Match) and part.field in LOOKED_UP:
            return looked_up(part)
        if isinstance(part, Match) and part.field in MEANT and not _is_month(part):
            known = _Known(part.field, values(part.field))
            meant: list[str | int] = []
            for asked in part.values:
                fits = known.meant(str(asked))
                if not fits:
                    unmatched.append(Unmatched(part.field, str(asked)))
                meant += fits
            return Match(part.field, tuple(dict.fromkeys(meant)))
        return part

    return walk(filter), tuple(unmatched)


def _is_month(part: Match) -> bool:
    """Whether these are months of a year, such as "2024-05", which need no looking up."""
    return part.field == "month" and not any(str(value).startswith("-") for value in part.values)


class _Known:
    """The values of a field in a collection, to be compared with what was asked for."""

    def __init__(self, field: str, values: Iterable[str]) -> None:
        self._field, self._values = field, list(values)

    def meant(self, asked: str) -> list[str]:
        """The values that a text means, as `resolve` says."""
        whole = asked.removeprefix(EXACT)
        if self._field == "folders":
            whole = whole.rstrip("/") or "/"
        exact = asked.startswith(EXACT)
        if (exact or self._field == "folders") and whole in self._present:
            return [whole]
        found = self._fitting(whole, _equals if exact else MEANT[self._field])
        # The sign may belong to the name.
        return found or (self._fitting(asked, MEANT[self._field]) if exact else [])

    def _fitting(self, asked: str, fits: Callable[[str, str], bool]) -> list[str]:
        form = self._form(asked)
        if not form.strip("/"):  # nothing that people see
            return [value for value in self._values if fits(asked, value)]
        found = [
            value for value, own in zip(self._values, self._forms, strict=True) if fits(form, own)
        ]
        if found:
            return found
        form = self._form("".join(map(visible_char, asked)))
        odd = [value for value in self._values if not value.isprintable()]
        return [value for value in odd if fits(form, self._form(shown(value)))]

    @cached_property
    def _present(self) -> frozenset[str]:
        return frozenset(self._values)

    @cached_property
    def _forms(self) -> list[str]:
        return list(map(self._trimmed, all_comparable(self._values)))

    def _form(self, text: str) -> str:
        return self._trimmed(comparable(text))

    def _trimmed(self, form: str) -> str:
        """The form without blanks at the edges of a folder's names."""
        return form.replace(" /", "/").replace("/ ", "/") if self._field == "folders" else form


def _equals(asked: str, value: str) -> bool:
    return asked == value


def _contains(asked: str, value: str) -> bool:
    return asked in value


def _is_folder(asked: str, value: str) -> bool:
    return value == asked or (
        ("/" + value).endswith("/" + asked.lstrip("/")) and not asked.startswith("/")
    )


def _ends(asked: str, value: str) -> bool:
    return value.endswith(asked)


MEANT: dict[str, Callable[[str, str], bool]] = {
    **dict.fromkeys(TEXTS, _contains),
    "folders": _is_folder,
    "month": _ends,
}


def _term(text: str) -> Filter:
    name, values = term_values(text.removeprefix("-"))
    if ":" not in text or name not in FIELDS:
        raise FilterError(
            f"{name!r} in {text!r} is not a filter field; the fields are {', '.join(FIELDS)}, as "
            "in camera:canon."
        )
    if not all(value.strip() for value in values):
        raise FilterError(f"{text!r} needs a value after the colon, as in {EXAMPLES[name]}.")
    parts = [FIELDS[name](value if name in NAMES else value.strip()) for value in values]
    matches = [each for each in parts if isinstance(each, Match)]
    if len(parts) == 1:
        part = parts[0]
    elif len(matches) == len(parts):
        part = Match(matches[0].field, tuple(v for each in matches for v in each.values))
    else:
        part = AnyOf(tuple(parts))
    return Not(part) if text.startswith("-") else part


def quoted(value: str) -> str:
    """A value as written in a filter, quoted where necessary."""
    if value and not re.search(r'[\s"|]', value):
        return value
    return '"' + value.replace('"', '""') + '"'


def _unquoted(value: str) -> str:
    return QUOTED.sub(lambda match: match[1].replace('""', '"'), value)


def _date(value: str) -> Filter:
    start, dots, end = value.partition("..")
    if "T" in start and TIME.match(end):  # a time of the same day
        end = f"{start.partition('T')[0]}T{end}"
    since = _period(start, value)[0] if start else None
    until = _period(end if dots else start, value)[1] if end or not dots else None
    if since is None and until is None:
        raise FilterError(f"date:{value} needs a date, as in {EXAMPLES['date']}.")
    if since is not None and until is not None and since >= until:
        raise FilterError(f"date:{value} ends before it begins.")
    return Range("taken", since, until)


def _period(text: str, whole: str) -> tuple[float, float]:
    """First second of the year, month, day, hour or minute, and of the next one."""
    match = DATE.match(text)
    if not match:
        raise FilterError(f"date:{whole} is not a date; write {EXAMPLES['date']}.")
    year, month, day, hour, minute = (int(part or 0) for part in match.groups())
    try:
        start = datetime(year, month or 1, day or 1, hour, minute, tzinfo=UTC)
        if match[4]:
            return start.timestamp(), start.timestamp() + (60 if match[5] else 3600)
        if match[3]:
            return start.timestamp(), start.timestamp() + 86_400
        following = (year + 1, 1) if not month or month == 12 else (year, month + 1)
        return start.timestamp(), datetime(*following, 1, tzinfo=UTC).timestamp()
    except ValueError:
        raise FilterError(f"date:{whole} is not a real date; write {EXAMPLES['date']}.") from None


def _near(value: str) -> Filter:
    match = PLACE.match(value.replace(" ", ""))
    if not match:
        raise FilterError(f"near:{value} is not a place; write {EXAMPLES['near']}.")
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise FilterError(
            f"near:{value} is not on Earth: latitude goes to 90 degrees, longitude to 180."
        )
    distance = float(match[3] or NEAR_KM) / (1000.0 if match[4] == "m" else 1.0)
    if not distance:
        raise FilterError(
            f"near:{value} is a single point; give a distance above zero, as in {EXAMPLES['near']}."
        )
    return Near(latitude, longitude, distance)


def _within(value: str) -> Filter:
    sides = [side.strip() for side in value.split(",")]
    if len(sides) != 4 or not all(DEGREES.match(side) for side in sides):
        raise FilterError(f"within:{value} is not an area on Earth; write {EXAMPLES['within']}.")
    south, west, north, east = (float(side) for side in sides)
    if not -90 <= south <= north <= 90 or max(abs(west), abs(east)) > 180:
        raise FilterError(
            f"within:{value} is not on Earth: write south,west,north,east, latitudes up to 90 "
            "degrees, longitudes up to 180."
        )
    return Within(south, west, north, east)


def _type(value: str) -> Filter:
    names = [part.strip().lower().removeprefix("image/").lstrip(".") for part in value.split(",")]
    for name in names:
        if name not in TYPES:
            known = ", ".join(dict.fromkeys(TYPES.values()))
            raise FilterError(f"type:{value} is not a type of picture; the types are {known}.")
    return Match("type", tuple(dict.fromkeys(TYPES[name] for name in names)))


def _month(value: str) -> Filter:
    """A month of any year; `resolve` finds the years."""
    name = value.lower()
    number = MONTHS.index(name[:3]) + 1 if name[:3] in MONTHS else 0
    if name.isascii() and name.isdecimal():
        number = int(name[:3])
    if not 1 <= number <= 12:
        raise FilterError(f"month:{value} is not a month; write {EXAMPLES['month']}.")
    return Match("month", (f"-{number:02}",))


def _weekday(value: str) -> Filter:
    try:
        return Match("weekday", weekdays(value))
    except ValueError:
        raise FilterError(
            f"weekday:{value} is not a day of the week; write {EXAMPLES['weekday']}."
        ) from None


def _has(value: str) -> Filter:
    if value.lower() not in PRESENT:
        raise FilterError(f"has:{value} is unknown; use one of {', '.join(PRESENT)}.")
    return Has(PRESENT[value.lower()])


def _text(field: str) -> Callable[[str], Filter]:
    return lambda value: Match(field, (value,))


def _number(field: str) -> Callable[[str], Filter]:
    def read(value: str) -> Filter:
        start, dots, end = value.partition("..")
        sides = [start, end] if dots else [start, start]
        if compared := COMPARED.match(value):
            sides = [compared[2], ""] if compared[1] == ">=" else ["", compared[2]]
        if not any(sides) or not all(SIDE.match(side) for side in sides):
            raise FilterError(
                f"{field}:{value} is not a number or a range of numbers; write {EXAMPLES[field]}."
            )
        low, high = (int(side) if side else None for side in sides)
        if low is not None and high is not None and low > high:
            raise FilterError(
                f"{field}:{value} ends before it begins; write {field}:{high}..{low}."
            )
        return Range(field, low, None if high is None else high + 1)

    return read


FIELDS: dict[str, Callable[[str], Filter]] = {
    "camera": _text("camera"),  # the most asked for first, since refusals list them in this order
    "lens": _text("lens"),
    "in": _text("folders"),
    "date": _date,
    "month": _month,
    "weekday": _weekday,
    "name": _text("name"),
    "path": _text("path"),
    "near": _near,
    "within": _within,
    "type": _type,
    "has": _has,
    **{name: _number(name) for name in NUMBERS},
    **{name: _text(name) for name in TEXTS},
}
"""Parsers of the fields that a filter may name."""
EXAMPLES = {
    **{name: FACTS[name].example for name in (*TEXTS, *NUMBERS)},
    "in": 'in:"Trip to Rome"',
    "date": "date:2021, date:2021-05, date:2021-05-03, date:2021..2022 or date:2021-05-03T18..20",
    "month": "month:12 or month:december",
    "weekday": "weekday:sat or weekday:weekend",
    "name": "name:IMG_20*.jpg",
    "path": "path:2021/Rome",
    "near": "near:48.1,11.5,20km",
    "within": "within:48,11,48.5,12 (south,west,north,east)",
    "type": "type:jpeg or type:png,raw",
    "has": "has:gps",
}
