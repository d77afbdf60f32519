from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from search.errors import QueryError, QuerySyntaxError
from search.query import ImageTerm, Query, Term
from search.scenes.language import TYPOGRAPHIC, parse, with_pictures
from search.scenes.scene import And, Chain, Clause, Count, Not, Position, Scene, Thing


def written(clause: Clause) -> str:
    """A clause in one line: things in brackets with their count, size, row and column."""
    if isinstance(clause, And):
        return " & ".join(written(part) for part in clause.parts)
    if isinstance(clause, Not):
        return f"!({written(clause.part)})"
    parts = [_thing(clause.things[0])]
    for relation, thing in zip(clause.relations, clause.things[1:], strict=True):
        parts += [relation, _thing(thing)]
    return " ".join(parts)


def _thing(thing: Thing) -> str:
    notes = []
    if thing.count != Count():
        notes.append(f"{thing.count.low}..{thing.count.high or ''}")
    if thing.size is not None:
        notes.append(thing.size)
    if thing.position is not None:
        notes.append(f"{thing.position.row}/{thing.position.column}")
    return f"[{' '.join([thing.name, *notes])}]"


def read(text: str, *, places: bool = False) -> str:
    asked = parse(text, places=places)
    return written(asked.clause) if isinstance(asked, Scene) else f"plain: {asked}"


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        # Relations and their other names.
        ("dog left of car", "[dog] left of [car]"),
        ("a dog to the left of the car", "[dog] left of [car]"),
        ("Dog on the left side of a car", "[Dog] left of [car]"),
        ("the dog is right of a car", "[dog] right of [car]"),
        ("dog on the right-hand side of the car", "[dog] right of [car]"),
        ("kite above sea", "[kite] above [sea]"),
        ("cat on top of a car", "[cat] above [car]"),
        ("cat directly below the table", "[cat] below [table]"),
        ("cat underneath table", "[cat] below [table]"),
        ("cat inside of a box", "[cat] inside [box]"),
        ("people inside a train station", "[people] inside [train station]"),
        ("cup next to laptop", "[cup] next to [laptop]"),
        ("cup beside laptop", "[cup] next to [laptop]"),
        ("dog left of car left of tree", "[dog] left of [car] left of [tree]"),
        ("DOG LEFT OF CAR", "[DOG] left of [CAR]"),
        # Positions.
        ("kite top left", "[kite top/left]"),
        ("a kite in the top left corner", "[kite top/left]"),
        ("kite in the top left", "[kite top/left]"),
        ("kite upper left", "[kite top/left]"),
        ("kite bottom centre", "[kite bottom/centre]"),
        ("sun at the top", "[sun top/]"),
        ("dog on the left", "[dog /left]"),
        ("dog on the right-hand side of the picture", "[dog /right]"),
        ("dog in the middle", "[dog centre/centre]"),
        ("sun TOP", "[sun top/]"),
        ("sun CENTRE", "[sun centre/centre]"),
        ("kite at the top on the left", "[kite top/left]"),
        ("kite in the middle at the top", "[kite top/centre]"),
        ("sun RIGHT in the centre", "[sun centre/right]"),
        ("kite top left and dog at the bottom", "[kite top/left] & [dog bottom/]"),
        # Sizes: capitals anywhere, small ones beside another sign.
        ("TINY dog", "[dog tiny]"),
        ("TINY house", "[house tiny]"),
        ("Tiny House left of Big Ben", "[Tiny House] left of [Big Ben]"),
        ("dog HUGE", "[dog huge]"),
        ("a tiny dog left of a big tree", "[dog tiny] left of [tree large]"),
        ("huge sun at the top", "[sun huge top/]"),
        # Counts.
        (">=3 apples", "[apples 3..]"),
        (">= three apples", "[apples 3..]"),
        ("=> 2 dogs", "[dogs 2..]"),
        ("=<2 dogs left of cat", "[dogs 1..2] left of [cat]"),
        (">2 apples", "[apples 3..]"),
        ("<= 2 apples", "[apples 1..2]"),
        ("<3 apples", "[apples 1..2]"),
        ("=1 apple", "[apple 1..1]"),
        ("exactly two dogs", "[dogs 2..2]"),
        ("at least 3 dogs", "[dogs 3..]"),
        ("at most 3 dogs", "[dogs 1..3]"),
        ("more than 3 dogs", "[dogs 4..]"),
        ("fewer than 3 dogs", "[dogs 1..2]"),
        ("two dogs left of 3 cars", "[dogs 2..2] left of [cars 3..3]"),
        ("=2 tiny dogs in the centre", "[dogs 2..2 tiny centre/centre]"),
        # And, not, parentheses.
        ("dog AND cat", "[dog] & [cat]"),
        ("dog NOT cat", "[dog] & !([cat])"),
        ("dog and not cat", "[dog] & !([cat])"),
        ("dog but not cat", "[dog] & !([cat])"),
        ("dog, not cat", "[dog] & !([cat])"),
        ("dog, and not a cat", "[dog] & !([cat])"),
        ("a man and a woman left of a car", "[man] & [woman] left of [car]"),
        ("not cat and dog left of car", "!([cat]) & [dog] left of [car]"),
        ("dog and not (cat inside box)", "[dog] & !([cat] inside [box])"),
        ("not (dog left of car) and tree", "!([dog] left of [car]) & [tree]"),
        ("(dog left of car) and (cat above mat)", "[dog] left of [car] & [cat] above [mat]"),
        ("dog AND NOT (cat AND bird)", "[dog] & !([cat] & [bird])"),
        # What is text stays text.
        ('"left of" left of "a and not b"', "[left of] left of [a and not b]"),
        ("top hat left of cup", "[top hat] left of [cup]"),
        ("large intestine left of stomach", "[large intestine] left of [stomach]"),
        ("salt and pepper left of mug", "[salt and pepper] left of [mug]"),
        ("dog at the top of a hill left of car", "[dog at the top of a hill] left of [car]"),
        ("dog (brown) left of car", "[dog (brown)] left of [car]"),
        ("red, shiny car left of tree", "[red, shiny car] left of [tree]"),
        ("do not enter sign left of car", "[do not enter sign] left of [car]"),
        ("view from above left of car", "[view from above] left of [car]"),
        # Weights and signs bind closest.
        ("2:red + mug - cup above table", "[2:red + mug - cup] above [table]"),
        ("cup above 2:table - wood", "[cup] above [2:table - wood]"),
    ],
)
def test_a_composed_query_is_read(text: str, scene: str) -> None:
    assert read(text) == scene
    assert read(text, places=True) == scene
    assert str(parse(text)) == " ".join(text.split())


PLAIN = [
    "a dog in the snow",
    "a man and a woman at the beach",
    "a woman in a red dress and a hat holding a small umbrella",
    "large intestine",
    "a large crowd at a concert",
    "a small dog on the beach",
    "top hat",
    "crop top",
    "shopping centre",
    "two dogs playing in the snow",
    "3 idiots movie poster",
    "not",
    "not a cat",
    "to be or not to be",
    "do not enter",
    "forget-me-not",
    "black and white photo",
    "salt and pepper",
    "view from above",
    "above the clouds",
    "below zero",
    "inside a church",
    "inside out",
    "what is left of the castle",
    "a man on the left at the top of the stairs",
    "a => b",
    "0 : 0",
    "large large crowd",
    "right of way",
    "dog at the top of the stairs",
    "turn left",
    "a man without a hat",
    "dog under a tree",
    "cat on a mat in a box",
    "near the sea",
    "photo (2021)",
    "e = mc2",
    "1 + 1 = 2 blackboard",
    "BMW and VW",
    "LARGE",
    "STOP AND GO",
    "poster of TOP GUN",
    "AT&T and/or BT",
    "2:red + mug - cup",
    '"dog left of car"',
    '"dog and not cat"',
    "猫と犬",
    "كلب",
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_sentence_without_signs_stays_as_it_is(text: str) -> None:
    assert parse(text) == Query.parse(text)


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("a man and a woman at the beach", "[man] & [woman at the beach]"),
        ("dog, cat, and bird", "[dog, cat] & [bird]"),
        ("tiny dog", "[dog tiny]"),
        ("a large red car", "[red car large]"),
        ("3 apples", "[apples 3..3]"),
        ("two dogs and a cat", "[dogs 2..2] & [cat]"),
        ("black and white photo", "plain: black and white photo"),
        ("large intestine", "plain: large intestine"),
        ("a small dog on the beach", "plain: a small dog on the beach"),
        ("two dogs playing in the snow", "plain: two dogs playing in the snow"),
        ("50 cent", "plain: 50 cent"),
        ("“salt and pepper”", "plain: salt and pepper"),
        ("red and blue + mug", "plain: red and blue + mug"),
        ('"a man and a woman"', "plain: a man and a woman"),
        ("view from above", "plain: view from above"),
    ],
)
def test_and_sizes_and_numbers_are_signs_alone_when_places_are_looked_for(
    text: str, scene: str
) -> None:
    assert read(text, places=True) == scene
    assert read(text).startswith("plain: ")


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
        ("<1 dog", "<1", "write 'not'"),
        ("=0 dogs", "=0", "write 'not'"),
        ("0 dogs", "0", "write 'not'"),
        ("cat and 0 dogs", "0", "write 'not'"),
        ("0 small dogs left of car", "0", "write 'not'"),
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
    salt pepper what (brown) a
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
