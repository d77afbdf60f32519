from datetime import UTC, datetime

import pytest

from indexer.vectors import All, AnyOf, Filter, Has, Match, Near, Not, Range, Within
from search.errors import FilterError
from search.filters import Unmatched, parse_filter, resolve


def at(*date: int) -> float:
    return datetime(*date, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "filter"),
    [
        ("camera:canon", Match("camera", ("canon",))),
        ("CAMERA:canon", Match("camera", ("canon",))),
        ('in:"Trip to Rome"', Match("folders", ("Trip to Rome",))),
        ("type:JPG|png", Match("type", ("jpeg", "png"))),
        ("type:heic", Match("type", ("heif",))),
        ("-has:gps", Not(Has("place"))),
        ("date:2021", Range("taken", at(2021, 1, 1), at(2022, 1, 1))),
        ("date:2021-12", Range("taken", at(2021, 12, 1), at(2022, 1, 1))),
        ("date:2021-05-31", Range("taken", at(2021, 5, 31), at(2021, 6, 1))),
        ("date:2021-05..2022", Range("taken", at(2021, 5, 1), at(2023, 1, 1))),
        ("date:2021..", Range("taken", at(2021, 1, 1), None)),
        ("date:..2021-05", Range("taken", None, at(2021, 6, 1))),
        (
            "date:2023-05-01T18..20",
            Range("taken", at(2023, 5, 1, 18), at(2023, 5, 1, 21)),
        ),
        ("date:2023-05-01T18:30", Range("taken", at(2023, 5, 1, 18, 30), at(2023, 5, 1, 18, 31))),
        ("month:12", Match("month", ("-12",))),
        ("month:july", Match("month", ("-07",))),
        ("weekday:Sat,weekend", Match("weekday", ("saturday", "weekend"))),
        ("name:IMG_20*", Match("name", ("IMG_20*",))),
        ("type:image/jpeg,nef", Match("type", ("jpeg", "raw"))),
        (
            "date:2019|2021",
            AnyOf(
                (
                    Range("taken", at(2019, 1, 1), at(2020, 1, 1)),
                    Range("taken", at(2021, 1, 1), at(2022, 1, 1)),
                )
            ),
        ),
        ("near:48.1,-11.5,20km", Near(48.1, -11.5, 20.0)),
        ("near:48.1,11.5,500m", Near(48.1, 11.5, 0.5)),
        ("near:48.1,11.5", Near(48.1, 11.5, 10.0)),
        ("within:48,11,48.5,12.25", Within(48, 11, 48.5, 12.25)),
        ("within:-20,177,-10,-178", Within(-20, 177, -10, -178)),
        ('camera:="EOS R5"', Match("camera", ("=EOS R5",))),
        ('in:"the ""old"" days | nights"|b', Match("folders", ('the "old" days | nights', "b"))),
        ("width:2000..", Range("width", 2000, None)),
        ("height:..1080", Range("height", None, 1081)),
        ("width:640", Range("width", 640, 641)),
        ("type:png has:gps", All((Match("type", ("png",)), Has("place")))),
        (
            "type:png | type:gif -has:date",
            AnyOf((Match("type", ("png",)), All((Match("type", ("gif",)), Not(Has("taken")))))),
        ),
    ],
)
def test_every_kind_of_term_is_read(text: str, filter: Filter) -> None:
    assert parse_filter(text) == filter


@pytest.mark.parametrize("text", ["", "   "])
def test_no_text_is_no_filter(text: str) -> None:
    assert parse_filter(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", "'colour' in 'colour:red' is not a filter field.*camera, lens, in, date"),
        ("rome", "'rome'.*is not a filter field"),
        ("camera:", "needs a value"),
        ("type:png|", "needs a value"),
        ("date:last year", "not a date"),
        ("date:2021-13", "not a real date"),
        ("date:2021-02-30", "not a real date"),
        ("date:2022..2021", "ends before it begins"),
        ("date:..", "needs a date"),
        ("near:here", "not a place"),
        ("near:95,10", "not on Earth"),
        ("within:48,11", "not an area on Earth"),
        ("within:48,11,47,12", "not on Earth"),
        ("within:48,11,49,190", "not on Earth"),
        ('camera:" "', "needs a value"),
        ("has:colour", "has:colour is unknown"),
        ("width:big", "not a number or a range"),
        ("width:4000..2000", r"ends before it begins; write width:2000..4000"),
        ("near:1,2,0km", "is a single point; give a distance above zero"),
        ("type:foo", "not a type of picture; the types are jpeg, png"),
        ("month:13", "not a month; write month:12"),
        ("month:xyz", "not a month"),
        ("weekday:t", "not a day of the week; write weekday:sat or weekday:weekend"),
        ("weekday:someday", "not a day of the week"),
        ("date:2021-05-01T25", "not a real date"),
        ('camera:"canon', "quote is not closed.*character 8"),
        ("type:\ud800", "half of a character.*character 6"),
        ("| type:png", "on both sides"),
        ("type:png |", "on both sides"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_on(text: str, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        parse_filter(text)


def values(field: str) -> list[str]:
    return {
        "camera": ["Canon EOS R5", "CANON PowerShot", "NIKON Z 6"],
        "folders": ["/", "/photos", "/photos/Rome", "/photos/Rome/day 1", "/Rome2", "/rome2"],
    }[field]


@pytest.mark.parametrize(
    ("text", "filter"),
    [
        ("camera:canon", Match("camera", ("Canon EOS R5", "CANON PowerShot"))),
        ("camera:canon|nikon", Match("camera", tuple(values("camera")))),
        ("-camera:eos", Not(Match("camera", ("Canon EOS R5",)))),
        ("in:rome", Match("folders", ("/photos/Rome",))),
        ('in:"rome/day 1"', Match("folders", ("/photos/Rome/day 1",))),
        ("in:/photos/rome/", Match("folders", ("/photos/Rome",))),
        ("in:/rome", Match("folders", ())),
        ("in:ROME2", Match("folders", ("/Rome2", "/rome2"))),
        ("in:/Rome2", Match("folders", ("/Rome2",))),
        ("in:=/rome2", Match("folders", ("/rome2",))),
        ("in:/ROME2", Match("folders", ("/Rome2", "/rome2"))),
        ("in:/rome2/", Match("folders", ("/rome2",))),
        ('in:"Rome / day  1"', Match("folders", ("/photos/Rome/day 1",))),
        ('camera:="eos r5"', Match("camera", ())),
        ('camera:="canon  eos r5"', Match("camera", ("Canon EOS R5",))),
        ('camera:"\u200f"', Match("camera", ())),
        ('in:" rome "', Match("folders", ("/photos/Rome",))),
        ('camera:="NIKON Z 6"', Match("camera", ("NIKON Z 6",))),
        ("camera:=NIKON", Match("camera", ())),
        ("type:png camera:z", All((Match("type", ("png",)), Match("camera", ("NIKON Z 6",))))),
    ],
)
def test_partial_names_become_the_values_they_mean(text: str, filter: Filter) -> None:
    parsed = parse_filter(text)
    assert parsed is not None
    assert resolve(parsed, values)[0] == filter


def test_names_that_nothing_fits_are_reported() -> None:
    filter, unmatched = resolve(Match("camera", ("kodak", "nikon")), values)
    assert filter == Match("camera", ("NIKON Z 6",))
    assert unmatched == (Unmatched("camera", "kodak"),)
