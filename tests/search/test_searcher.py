from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.pipeline import index
from indexer.vectors import image_key
from search import ranking
from search.hits import Box, Results
from search.query import ImageTerm, Query, Term
from search.searcher import Searcher
from tests.search.colours import ColourEmbedder, paint, save
from tests.search.conftest import PLACES, SHOWN
from tips_model.errors import TipsError


def names(results: Results) -> list[str]:
    return [Path(hit.path).stem for hit in results.hits]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return both / (sum(areas) - both)


def find(searcher: Searcher, name: str) -> str:
    """The id of the picture with this name."""
    everything = searcher.images("red", all=True, limit=100)
    return next(hit.id for hit in everything.hits if Path(hit.path).stem == name)


@pytest.mark.parametrize("colour", SHOWN)
def test_a_text_finds_its_photos_and_no_others(searcher: Searcher, colour: str) -> None:
    results = searcher.images(colour)
    assert sorted(names(results)) == [f"{colour}-{place}" for place in range(4)]
    assert results.confident == 4
    assert results.searched == 40
    assert all(hit.confident and hit.score >= 1 for hit in results.hits)


@pytest.mark.parametrize("colour", SHOWN)
def test_a_text_finds_the_place_in_each_photo(searcher: Searcher, colour: str) -> None:
    results = searcher.regions(f"a {colour} thing")
    assert sorted(names(results)) == [f"{colour}-{place}" for place in range(4)]
    for hit in results.hits:
        place = PLACES[int(Path(hit.path).stem[-1])]
        assert len(hit.regions) == 1
        assert overlap(hit.regions[0].box, place) > 0.8
        rows, columns = np.nonzero(hit.regions[0].mask)
        assert hit.regions[0].mask.shape == (8, 12)
        assert (columns.min() / 12, rows.min() / 8) == pytest.approx(hit.regions[0].box[:2])


def test_what_is_in_no_photo_is_not_found(searcher: Searcher) -> None:
    for text in ("orange", "unicorn", "my grandmother", "tax return"):
        assert searcher.images(text).hits == ()
        assert searcher.regions(text).hits == ()
        weak = searcher.regions(text, all=True, limit=3)
        assert len(weak.hits) == 3
        assert not any(hit.confident for hit in weak.hits)
        assert all(len(hit.regions) == 1 for hit in weak.hits)


def test_few_of_many_nonsense_texts_find_anything(searcher: Searcher) -> None:
    texts = [f"nonsense {number}" for number in range(30)]
    assert sum(searcher.images(text).confident > 0 for text in texts) <= 2


def test_scores_fall_and_pages_join_to_the_whole(searcher: Searcher) -> None:
    for ask in (searcher.images, searcher.regions):
        whole = ask("red", all=True, limit=100)
        scores = [hit.score for hit in whole.hits]
        assert scores == sorted(scores, reverse=True)
        assert len({hit.id for hit in whole.hits}) == 40
        pages = [ask("red", all=True, limit=7, offset=start) for start in range(0, 42, 7)]
        assert [hit for page in pages for hit in page.hits] == list(whole.hits)
        assert all(page.confident == 4 for page in pages)
    assert len(searcher.images("red", limit=3, offset=2).hits) == 2
    assert searcher.images("red", offset=10).hits == ()


@pytest.mark.parametrize("text", ["red", "red and blue"])
def test_an_answer_names_all_confident_photos_whatever_page_is_asked(
    searcher: Searcher, text: str
) -> None:
    whole = searcher.images(text)
    raw = [bytes.fromhex(image_key(hit.id)) for hit in whole.hits]
    for page in (whole, searcher.images(text, limit=1, offset=3, all=True)):
        assert [bytes(key).ljust(15, b"\0") for key in page.keys.tolist()] == raw


def test_looking_at_a_few_first_gives_the_same_confident_hits(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [searcher.images("red + blue"), searcher.regions("red + blue")]
    monkeypatch.setattr(ranking, "PHOTOS", 2)
    shallow = [searcher.images("red + blue"), searcher.regions("red + blue")]
    for left, right in zip(whole, shallow, strict=True):
        assert {hit.id for hit in left.hits} == {hit.id for hit in right.hits}
        assert left.confident == right.confident == 8
    assert len(searcher.regions("red", all=True, limit=25).hits) == 25


def test_terms_add_and_subtract(searcher: Searcher) -> None:
    assert set(names(searcher.regions("red + blue"))) == {
        f"{colour}-{place}" for colour in ("red", "blue") for place in range(4)
    }
    assert set(names(searcher.regions("3:red + blue - 6:blue"))) == {
        f"red-{place}" for place in range(4)
    }


@pytest.mark.parametrize("query", ["red - blue", "red - 0.5:cyan", "green - 2:magenta"])
def test_what_is_taken_away_does_not_lose_what_is_looked_for(
    searcher: Searcher, query: str
) -> None:
    wanted = {f"{query.split()[0]}-{place}" for place in range(4)}
    assert set(names(searcher.images(query))) == wanted
    assert set(names(searcher.regions(query))) == wanted


def test_a_picture_file_finds_its_like(searcher: Searcher, tmp_path: Path) -> None:
    path = save(paint("cyan", []), tmp_path / "cyan.jpg")
    regions = searcher.regions(f"{path}", all=True, limit=4)
    assert {name[:4] for name in names(regions)} == {"cyan"}
    memory = Query(images=(ImageTerm(Image.open(path)),))
    assert names(searcher.regions(memory, all=True, limit=4)) == names(regions)
    whole = save(paint("black", [("red", PLACES[1])], seed=77), tmp_path / "red.jpg")
    assert names(searcher.images(str(whole), all=True, limit=1)) == ["red-1"]


def test_words_and_pictures_go_together(searcher: Searcher) -> None:
    black = find(searcher, "yellow-1")  # yellow on black
    query = Query((Term("red", 2.0), Term("yellow", -2.0)), (ImageTerm(black),))
    assert names(searcher.images(query, all=True, limit=1)) == ["red-1"]


def test_similar_photos_come_without_the_photo_itself(searcher: Searcher) -> None:
    image_id = find(searcher, "red-1")
    results = searcher.similar(image_id, limit=100)
    assert len(results.hits) == 39
    assert image_id not in {hit.id for hit in results.hits}
    black = {"1", "4", "7", "10", "13"}  # plain black, as three quarters of red-1 are
    assert set(names(results)[:5]) == black


@pytest.mark.parametrize("exact", [False, True])
def test_what_lies_in_a_box_is_found_elsewhere(searcher: Searcher, exact: bool) -> None:
    image_id = find(searcher, "green-3")
    results = searcher.similar_region(image_id, (0.75, 0, 1, 0.25), exact=exact, limit=3)
    assert set(names(results)) == {"green-0", "green-1", "green-2"}
    for hit in results.hits:
        assert overlap(hit.regions[0].box, PLACES[int(Path(hit.path).stem[-1])]) > 0.8


@pytest.mark.parametrize("by", ["images", "regions"])
def test_a_page_shows_the_same_places_however_few_regions_were_looked_at(
    searcher: Searcher, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = getattr(searcher, by)
    whole = ask("red")
    monkeypatch.setattr(ranking, "PHOTOS", 3)
    few = ask("red")
    assert [hit.id for hit in few.hits] == [hit.id for hit in whole.hits]
    for one, other in zip(few.hits, whole.hits, strict=True):
        assert [place.box for place in one.regions] == [place.box for place in other.regions]


@pytest.mark.parametrize("exact", [False, True])
def test_the_heatmap_shows_the_place(searcher: Searcher, exact: bool) -> None:
    heat = searcher.heatmap(find(searcher, "blue-1"), "blue", exact=exact)
    # 192 pixels are enough for two windows a side, which share a quarter.
    rows, columns = (14, 21) if exact else (8, 12)
    scale = rows // 7
    expected = np.zeros((rows, columns))
    expected[rows // 2 :, (columns + 1) // 2 :] = 1
    cells = np.abs(heat - expected) < 0.15
    assert heat.shape == expected.shape
    assert cells.mean() > 0.9
    assert cells[scale : rows // 2, scale:-scale].all()
    nothing = searcher.heatmap(find(searcher, "blue-1"), "unicorn", exact=exact)
    assert nothing.max() < 0.7


def test_filters_narrow_the_answer(searcher: Searcher) -> None:
    assert names(searcher.images("red", filter="date:2021")) == ["red-1"]
    assert set(names(searcher.images("red", filter="camera:canon"))) == {"red-1", "red-3"}
    assert names(searcher.regions("red", filter="near:48,11,20km")) == ["red-0"]
    assert searcher.images("green", filter="in:oslo").hits == ()
    assert searcher.images("green", filter="in:rome").searched == 12
    assert searcher.images("green", filter="-has:camera", all=True, limit=50).searched == 16
    nobody = searcher.images("green", filter="camera:kodak")
    assert nobody.hits == ()
    assert nobody.notes == ("No camera of the collection fits 'kodak'.",)


def test_a_filter_does_not_make_weak_hits_confident(searcher: Searcher) -> None:
    assert searcher.images("red", filter="in:plain").hits == ()


def test_what_was_cut_from_a_long_text_is_said(searcher: Searcher) -> None:
    results = searcher.images("red " + " ".join(f"word{n}" for n in range(12)))
    assert results.notes == ("The text is longer than the model can read; ignored: 'word11'.",)


def test_a_search_can_be_repeated_from_what_it_says(searcher: Searcher) -> None:
    first = searcher.images("2:red - blue")
    assert first.query == "2:red - blue"
    assert first.model == "colours:0:False"
    assert searcher.images(first.query) == first


def test_pixels_thumbnails_and_counts_come_with_it(searcher: Searcher) -> None:
    image_id = find(searcher, "red-1")
    assert searcher.photo(image_id).size == (192, 128)
    assert searcher.thumbnails([image_id])[image_id][:4] == b"RIFF"
    assert dict(searcher.facet("camera")) == {"Canon EOS R5": 12, "NIKON Z 6": 12}
    assert dict(searcher.facet("camera", "in:rome")) == {"Canon EOS R5": 6, "NIKON Z 6": 6}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (lambda s: s.images(""), "empty"),
        (lambda s: s.regions("- red"), "what not to show"),
        (lambda s: s.images("red", limit=0), "at least one hit"),
        (lambda s: s.images("red", offset=-1), "before the first"),
        (lambda s: s.images("red", filter="colour:red"), "not a filter field"),
        (lambda s: s.similar("f" * 32), f"no photo with the id {'f' * 32}"),
        (lambda s: s.similar("x"), "no photo with the id x"),
        (lambda s: s.similar_region("f" * 32, (0, 0, 1, 1)), "no photo with the id"),
        (lambda s: s.similar_region("f" * 32, (0, 0, 2, 1)), "not inside the picture"),
        (lambda s: s.heatmap("f" * 32, "red"), "no photo with the id"),
        (lambda s: s.heatmap("f" * 32, Query(images=(ImageTerm("a"),))), "needs a text"),
    ],
)
def test_a_question_in_vain_gets_one_sentence(searcher, question, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TipsError, match=said) as caught:
        question(searcher)
    assert "\n" not in str(caught.value)


def test_another_model_is_refused_with_both_names(collection_folder: Path) -> None:
    with pytest.raises(TipsError, match=r"colours:0:False.*colours:1:False"):
        Searcher.open(collection_folder, embedder=ColourEmbedder(seed=1))


def test_an_empty_collection_says_what_to_do(tmp_path: Path) -> None:
    model = ColourEmbedder()
    Collection.create(tmp_path / "c", model.info)
    searcher = Searcher.open(tmp_path / "c", embedder=model)
    with searcher, pytest.raises(TipsError, match=r"has no photos yet.*tips index"):
        searcher.images("red")


def test_a_model_that_knows_nothing_finds_nothing(tmp_path: Path) -> None:
    for number in range(12):
        thing = (list(SHOWN)[number % 6], PLACES[number % 4])
        save(paint("grey", [thing], seed=number), tmp_path / "photos" / f"{number}.jpg")
    model = ColourEmbedder(blind=True)
    collection = Collection.create(tmp_path / "c", model.info)
    index(collection, [tmp_path / "photos"], model)
    with Searcher.open(tmp_path / "c", embedder=model) as searcher:
        texts = [*SHOWN, *(f"thing {number}" for number in range(20))]
        assert [text for text in texts if searcher.images(text).confident] == []


def test_new_photos_are_found_by_who_opens_it_anew(tmp_path: Path) -> None:
    model = ColourEmbedder()
    photos = tmp_path / "photos"
    for number in range(9):
        save(
            paint(("white", "black", "grey")[number % 3], [], seed=number), photos / f"{number}.jpg"
        )
    collection = Collection.create(tmp_path / "c", model.info)
    index(collection, [photos], model)
    with Searcher.open(tmp_path / "c", embedder=model) as searcher:
        assert searcher.images("red").hits == ()
        save(paint("white", [("red", PLACES[0])]), photos / "red.jpg")
        index(collection, [photos], model)
        assert searcher.regions("red").searched == 9
    with Searcher.open(tmp_path / "c", embedder=model) as searcher:
        assert names(searcher.images("red")) == ["red"]
        assert searcher.regions("red").searched == 10
        Path(photos / "red.jpg").unlink()
        with pytest.raises(TipsError, match=r"cannot be opened.*tips index"):
            searcher.heatmap(searcher.images("red").hits[0].id, "red", exact=True)


@pytest.mark.parametrize("colour", SHOWN[:3])
def test_refined_places_are_tighter_and_keep_their_scores(searcher: Searcher, colour: str) -> None:
    stored = searcher.regions(colour)
    fine = searcher.regions(colour, refine=True)
    assert [hit.id for hit in fine.hits] == [hit.id for hit in stored.hits]
    for old, new in zip(stored.hits, fine.hits, strict=True):
        place = PLACES[int(Path(new.path).stem[-1])]
        assert len(new.regions) == 1
        assert new.regions[0].score == old.regions[0].score
        assert overlap(new.regions[0].box, place) >= min(0.9, overlap(old.regions[0].box, place))
        assert new.regions[0].mask.shape == (96, 144)
    assert searcher.refine(stored, colour).hits == fine.hits
