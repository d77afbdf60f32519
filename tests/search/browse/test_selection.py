"""What is chosen and the text of a filter say the same, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.catalog.table import Catalog
from search.browse.index import PhotoIndex
from search.browse.places import Bounds
from search.browse.selection import Choices, filter_text, read_choices
from search.errors import FilterError
from search.filters import parse_filter
from tests.indexer.catalog.catalog_cases import table
from tests.indexer.vector_cases import DIM, HEADS
from tests.search.browse.browse_cases import photos

names = st.lists(st.text(max_size=12), max_size=3, unique=True).map(tuple)
paths = st.lists(st.text(max_size=12).map("/".__add__), max_size=3, unique=True).map(tuple)
months = st.builds("{:04}-{:02}".format, st.integers(1, 9998), st.integers(1, 12))
latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)
choices = st.builds(
    Choices,
    cameras=names,
    lenses=names,
    types=st.lists(st.sampled_from(["jpeg", "png", "heif"]), max_size=3, unique=True).map(tuple),
    folders=paths,
    years=st.lists(st.integers(1, 9998), max_size=3, unique=True).map(tuple),
    months=st.none() | st.tuples(months, months).map(lambda pair: (min(pair), max(pair))),
    area=st.none()
    | st.builds(
        lambda a, b, west, east: Bounds(min(a, b), west, max(a, b), east),
        latitudes,
        latitudes,
        longitudes,
        longitudes,
    ),
    rest=st.sampled_from(
        ["", "has:gps", "-type:png near:48,11,20km", "camera:canon | -has:date width:100.."]
    ),
)


@given(choices)
@settings(max_examples=300)
def test_the_text_of_choices_is_read_back_exactly(made: Choices) -> None:
    assert read_choices(filter_text(made)) == made


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Choices(), ""),
        (Choices(cameras=("EOS R5", "Z6")), 'camera:="EOS R5"|=Z6'),
        (Choices(folders=("s3://bucket/a",)), "in:s3://bucket/a"),
        (Choices(folders=("/a b", '/the "old" days')), 'in:"/a b"|"/the ""old"" days"'),
        (Choices(years=(2021, 2019), types=("jpeg",)), "type:jpeg date:2021|2019"),
        (Choices(months=("2021-05", "2021-05")), "date:2021-05"),
        (Choices(months=("2021-05", "2022-01")), "date:2021-05..2022-01"),
        (Choices(area=Bounds(-20.5, 177, 0.00001, -178)), "within:-20.5,177,0.00001,-178"),
        (
            Choices(lenses=("50mm",), rest="has:gps | -in:b"),
            "lens:=50mm has:gps | lens:=50mm -in:b",
        ),
    ],
)
def test_choices_are_written_as_people_would(made: Choices, text: str) -> None:
    assert filter_text(made) == text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("type:JPG", Choices(types=("jpeg",))),
        ("camera:canon date:2021", Choices(years=(2021,), rest="camera:canon")),
        ("date:2021 date:2022", Choices(years=(2021,), rest="date:2022")),
        ("date:2021..2022 in:rome", Choices(rest="date:2021..2022 in:rome")),
        ("-date:2021 -in:/a", Choices(rest="-date:2021 -in:/a")),
        ("camera:=A|b in:/a|b", Choices(rest="camera:=A|b in:/a|b")),
        ("type:png | type:gif", Choices(rest="type:png | type:gif")),
        ("type:png has:gps | type:png", Choices(rest="type:png has:gps | type:png")),
        ("type:png has:gps | in:b type:png", Choices(types=("png",), rest="has:gps | in:b")),
    ],
)
def test_what_people_write_is_parted_into_choices_and_the_rest(text: str, made: Choices) -> None:
    assert read_choices(text) == made


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(FilterError):
        read_choices("type:png colour:red")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PhotoIndex:
    catalog = Catalog(Path(tmp_path_factory.mktemp("choices")), HEADS, DIM)
    catalog.commit(table(photos(range(60))))
    return PhotoIndex.load(catalog)


TERMS = (
    'camera:="Canon EOS R5"',
    "camera:pixel",
    "in:/photos/trips",
    "in:/b|/Photos",
    "-in:rome",
    "type:png",
    "date:2020",
    "date:2020-02..2020-12",
    "date:2020|2021",
    "within:-80,-180,50,90",
    "has:gps",
)


@given(st.lists(st.lists(st.sampled_from(TERMS), min_size=1, max_size=4), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_text_keeps_its_meaning_when_it_is_read_and_written(
    index: PhotoIndex, groups: list[list[str]]
) -> None:
    text = " | ".join(" ".join(group) for group in groups)
    again = filter_text(read_choices(text))
    assert parse_filter(again) is not None
    assert set(index.matching(again)) == set(index.matching(text))
    assert read_choices(again) == read_choices(text)
