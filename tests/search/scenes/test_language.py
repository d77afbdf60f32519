from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from search.errors import QueryError, QuerySyntaxError
from search.explain import canonical, explain
from search.query import ImageTerm, Query, Term
from search.scenes.language import TYPOGRAPHIC, parse, with_pictures
from search.scenes.scene import Chain, Position, Scene, Thing, things

READINGS = Path(__file__).parent / "readings.txt"


def rows() -> list[tuple[str, str, str]]:
    """Text, reading in a search for photos, and in one for places."""
    lines = READINGS.read_text(encoding="utf-8").splitlines()
    table = [line.split("\t") for line in lines if line and not line.startswith("# ")]
    return [(row[0], row[1], row[-1]) for row in table]


def read(text: str, *, places: bool = False) -> str:
    try:
        found = explain(text, places)
    except QueryError as error:
        return f"! {error}"
    return f"as text: {found.reading}" if found.plain else found.reading


@pytest.mark.parametrize(("text", "photos", "places"), rows())
def test_every_text_is_read_as_the_table_says(text: str, photos: str, places: str) -> None:
    assert (read(text), read(text, places=True)) == (photos, places)


def test_a_sentence_without_signs_stays_as_it_is() -> None:
    plain = [text for text, photos, _ in rows() if photos.startswith("as text")]
    assert len(plain) > 200
    for text in plain:
        assert parse(text) == Query.parse(text.translate(TYPOGRAPHIC))


def test_a_reading_is_a_query_that_is_read_the_same() -> None:
    for text, *readings in rows():
        for places, reading in enumerate(readings):
            if reading.startswith("!"):
                continue
            first, again = explain(text, bool(places)), explain(reading.removeprefix("as text: "))
            read = tuple(part for part in first.parts if part.role != "filter")
            assert (again.reading, again.parts) == (first.reading, read)


def test_the_wording_of_a_scene_is_kept() -> None:
    assert str(parse("  dog left   of 'car'. ")) == "dog left of 'car'."


@pytest.mark.parametrize(
    ("text", "spot", "said"),
    [
        ("dog left of", "left of", "needs a thing behind it"),
        ("left of car", "left of", "needs a thing before it"),
        ("dog and left of car", "left of", "needs a thing before it"),
        ("dog right of to the left of car", "to the left of", "needs a thing before it"),
        ("dog left of car and", "and", "needs a thing behind it"),
        ("dog AND", "AND", "needs a thing behind it"),
        ("dog NOT", "NOT", "needs a thing behind it"),
        ("(dog left of car", "(", "is not closed"),
        ("dog left of car)", ")", "does not fit here"),
        ("dog left of (cat and bird)", "(", "repeat the relation"),
        (">=3", ">=3", "needs a thing to count"),
        (">=many apples", ">=many", "is no count"),
        ("apples >=3 left of car", ">=3", "must stand before"),
        (">=30 apples", ">=30", "up to 8"),
        ("car left of 0 dogs", "0", "write 'not'"),
        ("dog without a leash left of car", "without", "cannot stand before a relation"),
        ("dog left of no car", "no", "cannot stand here"),
        ("street without cars and people", "and", "write 'or people' to exclude it too"),
        ("dog or cat left of car", "or", "two ways"),
        ("dog inside box, inside house", "dog inside box, inside house", "inside two others"),
        ("a left of b, right of c, above d", "above", "a third relation"),
        ("(dog -cat)", "-cat", "write 'NOT cat'"),
        ("between 3 and 2 dogs", "between 3 and 2", "is no count"),
        ("=> 9 dogs", "=> 9", "up to 8"),
        ("LARGE LARGE dog", "LARGE", "a second size"),
        ("tiny dog HUGE", "tiny", "a second size"),
        ("large large dog left of car", "large", "a second size"),
        ("top left top left dog", "top left", "a second position"),
        ("dog TOP top left", "TOP", "do not go together"),
        ("dog top left bottom right", "top left", "do not go together"),
        (">=0 dogs", ">=0", "true of every photo"),
        ("at least 0 dogs", "at least 0", "true of every photo"),
        ("dog left of and cat", "and", "needs a thing before it"),
    ],
)
def test_a_wrong_composition_is_refused_with_its_spot(text: str, spot: str, said: str) -> None:
    with pytest.raises(QuerySyntaxError, match=said) as caught:
        parse(text)
    start, end = caught.value.spot
    assert text[start:end] == spot
    assert f"at character {start + 1}" in str(caught.value)
    assert "\n" not in str(caught.value)
    line, marks = caught.value.marked().splitlines()
    assert line == text
    assert marks == " " * start + "^" * (end - start)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ('dog left of ""', "empty"),
        ('dog left of "car', "quote is not closed"),
        ("NOT cat", "only says what not to show"),
        ("not cat and not dog", "only says what not to show"),
        ("dog left of - cat", "what not to show"),
        ("mug - left of car", "Nothing to search for"),
        ("./nowhere.jpg left of dog", "no picture file ./nowhere.jpg"),
        ("0:dog left of car", "other than 0"),
        ("dog left of \udcff", "not valid Unicode"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        parse(text)


def test_picture_files_are_things_too(tmp_path: Path) -> None:
    path = tmp_path / "cup.png"
    Image.new("RGB", (4, 4)).save(path)
    asked = parse(f"{path} left of 2:table")
    cup = Thing(Query(images=(ImageTerm(path),)), str(path))
    table = Thing(Query((Term("table", 2.0),)), "2:table")
    assert asked == Scene(Chain((cup, table), ("left of",)), f"{path} left of 2:table")


def test_whole_pictures_go_with_plain_queries_only() -> None:
    picture = ImageTerm("ab" * 16)
    assert with_pictures(parse("red"), (picture,)) == Query((Term("red"),), (picture,))
    with pytest.raises(QueryError, match="cannot be mixed with a whole picture"):
        with_pictures(parse("dog left of car"), (picture,))


def test_a_position_is_a_row_and_a_column() -> None:
    asked = parse("sun bottom right")
    assert isinstance(asked, Scene)
    assert asked.clause == Chain(
        (Thing(Query((Term("sun"),)), "sun", position=Position("right", "bottom")),)
    )


TOKENS = """
    dog car "top hat" left of right to the is above below inside next and AND not NOT but , ( ) >=
    <=2 =1 3 two exactly at least most in top centre TOP LEFT tiny LARGE + - 2:red 16:9 " ./x 猫
    salt pepper what (brown) a OR or no without -cat -"two words" except between people, 'hat' red 0
"""
WORDS = st.sampled_from([*TOKENS.split(), "\u0301", "\udcff", ""])


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=10).map(" ".join) | st.text(max_size=40), st.booleans())
def test_any_text_is_read_or_refused_with_a_sentence(text: str, places: bool) -> None:
    asked: Query | Scene | QueryError
    try:
        asked = parse(text, places=places)
    except QueryError as error:
        asked = error
    if isinstance(asked, QuerySyntaxError):
        start, end = asked.spot
        assert 0 <= start < end
        assert start <= len(asked.text)
    if isinstance(asked, QueryError):
        assert str(asked).strip()
        assert "\n" not in str(asked)
    elif isinstance(asked, Query):
        assert asked == Query.parse(text.translate(TYPOGRAPHIC))
    else:
        assert asked.text == " ".join(text.translate(TYPOGRAPHIC).split())
        terms = [term.text for thing in things(asked.clause) for term in thing.query.texts]
        if not any('"' in term for term in terms):  # `a"b`, which cannot be quoted
            again = parse(canonical(asked))
            assert isinstance(again, Scene)
            assert canonical(again) == canonical(asked)


@pytest.mark.parametrize(
    "text", ["(dog", "dog)", "not dog", "dog and (cat", "large large dog", "tiny big dog", "0 dogs"]
)
def test_a_wrong_scene_is_refused_when_places_are_looked_for(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text, places=True)


@pytest.mark.parametrize(
    ("text", "spot"), [('"" left of dog', (0, 2)), ("dog left of 2:", (12, 14))]
)
def test_what_is_wrong_with_one_thing_is_marked_in_the_whole(
    text: str, spot: tuple[int, int]
) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text)
    assert caught.value.spot == spot


def test_quotes_may_be_typographic() -> None:
    assert read("“top hat” left of «cat»") == read('"top hat" left of "cat"')


def test_a_query_of_too_many_things_is_refused() -> None:
    for text in ("tree left of " + ", ".join(["dog"] * 30), "tree" + " -dog" * 30):
        with pytest.raises(QueryError, match="at most 24 can be looked for"):
            parse(text)
