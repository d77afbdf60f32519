from pathlib import Path

import pytest
from PIL import Image

from search.errors import QueryError
from search.query import ImageTerm, Query, Term


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a dog in the  snow", [("a dog in the snow", 1)]),
        ("2:red + mug - cup", [("red", 2), ("mug", 1), ("cup", -1)]),
        ("mug -2:cup", [("mug", 1), ("cup", -2)]),
        ("- 0.5:cup + mug", [("cup", -0.5), ("mug", 1)]),
        ("t-shirt and black-and-white", [("t-shirt and black-and-white", 1)]),
        ("16:9 screen", [("16:9 screen", 1)]),
        ('"salt + pepper" - "2:red"', [("salt + pepper", 1), ("2:red", -1)]),
        ('"./not a file"', [("./not a file", 1)]),
        ("C++ book", [("C++ book", 1)]),
    ],
)
def test_terms_are_read_with_sign_and_weight(text: str, terms: list[tuple[str, float]]) -> None:
    assert Query.parse(text) == Query(tuple(Term(*term) for term in terms))


def test_a_path_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "cup.png"
    Image.new("RGB", (4, 4)).save(path)
    query = Query.parse(f"red - 2:{path}")
    assert query == Query((Term("red"),), (ImageTerm(path, -2.0),))


@pytest.mark.parametrize(
    ("there", "typed"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")]
)
def test_a_path_is_the_picture_that_looks_the_same(tmp_path: Path, there: str, typed: str) -> None:
    path = tmp_path / there / f"{there}.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8)).save(path)
    query = Query.parse(f"{tmp_path}/{typed}/{typed}.png")
    assert query == Query((), (ImageTerm(path),))
    with pytest.raises(QueryError, match="no picture file"):
        Query.parse(f"{tmp_path}/{typed}/CAF\u00c9.png")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ('""', "empty"),
        ("- cup", "what not to show"),
        ("mug -", "character 6"),
        ("+", "character 2"),
        ("mug + - cup", "character 7"),
        ("0:mug", "other than 0"),
        ('a "b', "character 3"),
        ("./nowhere.jpg", "no picture file ./nowhere.jpg"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        Query.parse(text)


def test_writing_a_query_down_and_reading_it_again_gives_the_same() -> None:
    for text in ("2:red + mug - cup", "a dog", "- 0.5:cup + mug"):
        assert str(Query.parse(text)) == text


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.5), (0.9, 0, 0.1, 1)]
)
def test_a_box_outside_the_picture_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(QueryError, match="not inside the picture"):
        ImageTerm("0" * 32, box=box)
