"""The answer to a query is one list: pages of any size join to it, each photo is in it once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.catalog.rows import Link
from indexer.collection import Collection
from indexer.publish import publish
from indexer.vectors import image_key
from search import tail
from search.cursor import Cursor
from search.errors import QueryError
from search.export.formats import hits_of
from search.hits import Results
from search.query import Example, ImageTerm, PlacedThing
from search.request import Request
from search.searcher import Searcher
from tests.search.colours import ColourEmbedder
from tests.search.synthetic import make_collection, picture

EVERY = 6000
TEXTS = ("red", "blue", "green")


@pytest.fixture(
    scope="module",
    params=[(1, 1), (79, 1), (300, 3), (1100, 400), (5000, 1)],
    ids=lambda each: f"{each[0]}-{each[1]}",
)
def searcher(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Searcher]:
    photos, like = request.param
    embedder = ColourEmbedder()
    folder = tmp_path_factory.mktemp("paging") / "c"
    make_collection(folder, embedder, photos, texts=TEXTS, like=like)
    with Searcher.open(folder, embedder=embedder) as opened:
        yield opened


def questions(searcher: Searcher) -> dict[str, dict[str, Any]]:
    """One question of each kind, by name."""
    first = searcher.images("red", all=True, limit=1).hits[0].id
    example = Example(first, box=(0.0, 0.0, 0.5, 0.5))
    return {
        "text": {"words": "red"},
        "places": {"words": "red", "by": "places"},
        "negative": {"words": "red - blue"},
        "negative places": {"words": "red - blue", "by": "places"},
        "relation": {"words": "red left of blue"},
        "exclusion": {"words": "red and not blue", "by": "places"},
        "layout": {"layout": (PlacedThing("red", (0.0, 0.0, 0.5, 0.5)),)},
        "like": {"like": (first,)},
        "unlike": {"words": "blue", "unlike": (first,)},
        "place like": {"like": (first,), "box": (0.0, 0.0, 0.5, 0.5)},
        "picture": {"pictures": (ImageTerm(picture()),)},
        "picture and words": {"words": "red", "pictures": (ImageTerm(picture()),), "by": "places"},
        "examples": {"examples": (example,)},
        "filter": {"words": "red", "filter": "camera:canon"},
        "filter of places": {"words": "red", "filter": "camera:canon -has:gps", "by": "places"},
        "nothing found": {"words": "a unicorn"},
    }


KINDS = [
    *("text", "places", "negative", "negative places", "relation", "exclusion", "layout", "like"),
    *("unlike", "place like", "picture", "picture and words", "examples", "filter"),
    *("filter of places", "nothing found"),
]


def paged(searcher: Searcher, asked: Request, seed: int, *, cursors: bool) -> list[Results]:
    """Pages of random sizes, by their cursors or by offsets."""
    chance = random.Random(seed)
    pages: list[Results] = []
    offset = 0
    while not pages or pages[-1].next:
        limit = chance.choice([1, 7, 20, 50, 100, 333, 1000, 2000])
        where = {"cursor": pages[-1].next} if cursors and pages else {"offset": offset}
        pages.append(searcher.search(asked.model_copy(update={"limit": limit, **where})))
        offset += limit
    return pages


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("all", [True, False], ids=["all", "confident"])
def test_pages_join_to_the_one_list(searcher: Searcher, kind: str, all: bool) -> None:
    asked = Request(all=all, **questions(searcher)[kind])
    whole = searcher.search(asked.model_copy(update={"limit": EVERY}))
    ids = [hit.id for hit in whole.hits]
    assert len(set(ids)) == len(ids) == whole.total
    assert whole.total == (whole.searched if all else whole.confident)
    assert whole.next is None
    scores = [hit.score for hit in whole.hits]
    assert scores == sorted(scores, reverse=True)
    assert all or min(scores, default=1) >= 1
    assert [hit.confident for hit in whole.hits] == [score >= 1 for score in scores]
    for seed, cursors in ((1, True), (2, False)):
        pages = paged(searcher, asked, seed, cursors=cursors)
        assert [hit for page in pages for hit in page.hits] == list(whole.hits)
        assert {page.total for page in pages} == {whole.total}
        assert [page.offset for page in pages] == np.cumsum(
            [0, *(len(page.hits) for page in pages[:-1])]
        ).tolist()
    exported = hits_of(
        lambda limit, offset: searcher.search(
            asked.model_copy(update={"limit": limit, "offset": offset})
        ),
        all=all,
    )
    assert [hit.id for hit in exported] == ids


@pytest.mark.parametrize("kind", ["text", "places", "relation"])
def test_without_weaker_matches_the_list_is_the_beginning_of_the_one_with(
    searcher: Searcher, kind: str
) -> None:
    asked = Request(limit=EVERY, **questions(searcher)[kind])
    found = searcher.search(asked)
    whole = searcher.search(asked.model_copy(update={"all": True}))
    assert whole.hits[: found.total] == found.hits
    assert whole.confident == found.confident


def test_the_list_has_every_photo_that_passes_the_filter(searcher: Searcher) -> None:
    every = set(searcher._catalog.ids())
    for places in ("photos", "places"):
        found = searcher.search(Request(words="red", by=places, all=True, limit=EVERY))
        assert {hit.id for hit in found.hits} == every
    some = searcher.images("red", all=True, limit=EVERY, filter="camera:nikon")
    assert {hit.camera for hit in some.hits} <= {"Nikon"}
    assert len(some.hits) == len(every) // 2


def test_places_of_weak_photos_are_shown_however_deep_they_are(searcher: Searcher) -> None:
    found = searcher.regions("red", all=True, limit=EVERY)
    assert all(hit.regions for hit in found.hits)


@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "random"])
@pytest.mark.parametrize("kind", ["text", "relation", "like"])
@pytest.mark.parametrize("all", [True, False], ids=["all", "confident"])
def test_a_sorted_list_has_the_same_photos_in_that_order(
    searcher: Searcher, sort: Any, kind: str, all: bool
) -> None:
    asked = Request(all=all, limit=EVERY, **questions(searcher)[kind])
    best = searcher.search(asked)
    found = searcher.search(asked.model_copy(update={"sort": sort}))
    scores = {hit.id: hit.score for hit in best.hits}
    assert {hit.id: hit.score for hit in found.hits} == scores
    assert len(found.hits) == found.total == best.total
    pages = paged(searcher, asked.model_copy(update={"sort": sort}), 3, cursors=True)
    assert [hit for page in pages for hit in page.hits] == list(found.hits)
    if sort in ("newest", "oldest"):
        days = [hit.taken for hit in found.hits]
        dated = [day for day in days if day is not None]
        assert days[: len(dated)] == sorted(dated, reverse=sort == "newest")
        assert set(days[len(dated) :]) <= {None}
    elif sort == "name":
        names = [(Path(hit.path).name.lower(), hit.path) for hit in found.hits]
        assert names == sorted(names)


def test_another_seed_is_another_order_and_one_seed_is_one_order(searcher: Searcher) -> None:
    ids = [
        [
            hit.id
            for hit in searcher.images("red", all=True, limit=EVERY, sort="random", seed=n).hits
        ]
        for n in (1, 1, 2, -1)
    ]
    assert ids[0] == ids[1]
    if len(ids[0]) > 10:
        assert len({tuple(each) for each in ids}) == 3


def test_a_random_order_keeps_the_places_of_photos_under_a_filter(searcher: Searcher) -> None:
    every = searcher.images("red", all=True, limit=EVERY, sort="random")
    some = searcher.images("red", all=True, limit=EVERY, sort="random", filter="camera:canon")
    canon = [hit.id for hit in every.hits if hit.camera == "Canon"]
    assert [hit.id for hit in some.hits] == canon


def test_a_cursor_of_another_query_is_refused(searcher: Searcher) -> None:
    if searcher.count("images") < 2:
        pytest.skip("one photo has no second page")
    following = searcher.images("red", all=True, limit=1).next
    assert following is not None
    second = searcher.images("red", all=True, limit=1, cursor=following)
    assert second.offset == 1
    for other in (
        Request(words="blue", all=True, cursor=following),
        Request(words="red", cursor=following),
        Request(words="red", all=True, filter="camera:canon", cursor=following),
        Request(words="red", all=True, sort="newest", cursor=following),
        Request(words="red", all=True, by="places", cursor=following),
    ):
        with pytest.raises(QueryError, match="belongs to another query or collection"):
            searcher.search(other)
    for damaged in ("x", "!", following[:-3], "WzFd", "é", "W10", following + "AAAA"):
        with pytest.raises(QueryError, match=r"cursor is damaged|belongs to another"):
            searcher.images("red", all=True, cursor=damaged)
    with pytest.raises(QueryError, match="cursor or at an offset"):
        searcher.images("red", offset=1, cursor=following)


def test_a_cursor_of_a_picture_goes_on_with_that_picture_only(searcher: Searcher) -> None:
    if searcher.count("images") < 2:
        pytest.skip("one photo has no second page")
    asked = Request(pictures=(ImageTerm(picture(1)),), all=True, limit=1)
    following = searcher.search(asked).next
    same = {"cursor": following, "pictures": (ImageTerm(picture(1)),)}
    assert searcher.search(asked.model_copy(update=same)).offset == 1
    other = {"cursor": following, "pictures": (ImageTerm(picture(2)),)}
    with pytest.raises(QueryError, match="belongs to another"):
        searcher.search(asked.model_copy(update=other))


def test_after_a_change_a_cursor_goes_on_at_its_rank_and_says_so(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    collection = make_collection(tmp_path / "c", embedder, 200)
    with Searcher.open(tmp_path / "c", embedder=embedder) as searcher:
        first = searcher.images("red", all=True, limit=60)
    catalog, store = collection.catalog(), collection.vectors(read_only=False)
    gone = [hit.id for hit in first.hits[:5]]
    catalog.commit(None, [Link(each, "removed", ()) for each in gone])
    publish(catalog, store)
    store.close()
    with Searcher.open(tmp_path / "c", embedder=embedder) as searcher:
        second = searcher.images("red", all=True, limit=EVERY, cursor=first.next or "")
    assert second.offset == 60
    assert second.total == 195
    assert len(second.hits) == 135
    assert second.notes == (
        "The collection has changed since the page before; this page begins at photo 61 of the new "
        "answer, so photos may appear twice or not at all.",
    )


def test_another_collection_refuses_the_cursor(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    made = [make_collection(tmp_path / name, embedder, 5) for name in "ab"]
    following = ""
    for collection in made:
        assert isinstance(collection, Collection)
        with Searcher.open(collection.folder, embedder=embedder) as searcher:
            if following:
                with pytest.raises(QueryError, match="another query or collection"):
                    searcher.images("red", all=True, cursor=following)
            following = searcher.images("red", all=True, limit=1).next or ""


def test_blocks_of_any_size_give_the_list_without_what_is_in_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = ColourEmbedder()
    collection = make_collection(tmp_path / "c", embedder, 400)
    catalog = collection.catalog()
    for first in (1, 8, 1024):
        monkeypatch.setattr(tail, "FIRST", first)
        with Searcher.open(tmp_path / "c", embedder=embedder) as searcher:
            found = searcher.images("red", all=True, limit=EVERY)
            ids = [hit.id for hit in found.hits]
            table = catalog.rows(ids, ["vector_web"])
        vectors = np.array(table["vector_web"].to_pylist(), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        (word,) = embedder.embed_texts(["red"])
        cosines = vectors[256 + 60 :] @ word  # surely behind the head
        assert (np.diff(cosines) < 1e-3).all()
        assert len({image_key(each) for each in ids}) == 400


def test_a_cursor_reads_what_it_writes() -> None:
    cursor = Cursor(12, "0123456789abcdef", 7)
    assert Cursor.read(str(cursor)) == cursor
