"""Names as text: a bijection that leaves ordinary names alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.folders.paths import folders, is_under, to_bytes, to_text


@given(st.binary(max_size=40))
def test_every_name_comes_back(name: bytes) -> None:
    text = to_text(name)
    assert to_bytes(text) == name
    text.encode("utf-8")  # valid Unicode, fit for JSON and Arrow


@given(st.text(st.characters(codec="utf-8")), st.binary(max_size=8))
def test_names_with_private_characters_come_back(text: str, tail: bytes) -> None:
    name = text.encode() + "\uf780\uf7ff".encode() + tail
    assert to_bytes(to_text(name)) == name


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_two_names_never_share_a_text(one: bytes, other: bytes) -> None:
    assert (to_text(one) == to_text(other)) == (one == other)


@pytest.mark.parametrize("name", ["photo.jpg", "Grüße/日本 🌄.jpg", "line\nbreak.jpg", ""])
def test_valid_names_stay_as_they_are(name: str) -> None:
    assert to_text(name.encode()) == name


def test_an_undecodable_byte_becomes_a_private_character() -> None:
    assert to_text(b"/a/\xff\xfe.jpg") == "/a/\uf7ff\uf7fe.jpg"
    # A name that looks like the escape of another is escaped itself.
    assert to_text("\uf7ff".encode()) == "\uf7ef\uf79f\uf7bf"


def test_folders_and_being_under() -> None:
    assert folders("/a/b/c.jpg") == ["/", "/a", "/a/b"]
    assert is_under("/a/b", "/a")
    assert is_under("/a", "/a")
    assert is_under("/a", "/")
    assert not is_under("/ab", "/a")
