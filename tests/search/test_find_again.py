from pathlib import Path

import numpy as np
import pytest

from indexer.collection import Collection
from indexer.pipeline import index
from search.errors import QueryError
from search.find_again import NOT_THIS, from_stored, terms
from search.hits import Box, Results
from search.query import Example
from search.searcher import Searcher
from search.stored_photos import Regions
from tests.search.colours import ColourEmbedder, paint, save
from tests.search.conftest import PLACES

CENTRES = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in PLACES]


def names(results: Results) -> list[str]:
    return [Path(hit.path).stem for hit in results.hits]


def find(searcher: Searcher, name: str) -> str:
    """The id of the picture with this name."""
    everything = searcher.images("red", all=True, limit=100)
    return next(hit.id for hit in everything.hits if Path(hit.path).stem == name)


def overlap(a: Box, b: Box) -> float:
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return both / (sum(areas) - both)


@pytest.mark.parametrize("place", range(4))
def test_a_click_or_a_box_finds_the_colour_in_all_other_photos(
    searcher: Searcher, place: int
) -> None:
    source = find(searcher, f"blue-{place}")
    others = {f"blue-{other}" for other in range(4)} - {f"blue-{place}"}
    for example in (Example(source, point=CENTRES[place]), Example(source, box=PLACES[place])):
        results = searcher.find_again([example], limit=3)
        assert set(names(results)) == others
        for hit in results.hits:
            assert overlap(hit.regions[0].box, PLACES[int(Path(hit.path).stem[-1])]) > 0.8


def test_several_positives_find_each_and_their_photos_are_left_out(searcher: Searcher) -> None:
    examples = [Example(find(searcher, f"{c}-1"), point=CENTRES[1]) for c in ("red", "green")]
    results = searcher.find_again(examples, limit=6)
    assert set(names(results)) == {f"{c}-{n}" for c in ("red", "green") for n in (0, 2, 3)}
    everything = searcher.find_again(examples, limit=100)
    assert len(everything.hits) == 38


def test_a_negative_example_pushes_its_like_down(searcher: Searcher) -> None:
    examples = [Example(find(searcher, f"{c}-1"), point=CENTRES[1]) for c in ("red", "green")]
    away = Example(find(searcher, "green-3"), point=CENTRES[3], positive=False)
    results = searcher.find_again([*examples, away], limit=100)
    order = names(results)
    assert "green-3" not in order
    assert set(order[:3]) == {"red-0", "red-2", "red-3"}
    plain = {Path(h.path).stem: h.score for h in searcher.find_again(examples, limit=100).hits}
    pushed = {Path(h.path).stem: h.score for h in results.hits}
    for name in ("green-0", "green-2"):
        assert plain[name] - plain["red-0"] > pushed[name] - pushed["red-0"]


def test_refined_places_of_a_picture_query(searcher: Searcher) -> None:
    example = Example(find(searcher, "magenta-0"), point=CENTRES[0])
    results = searcher.find_again([example], limit=3, refine=True)
    for hit in results.hits:
        assert overlap(hit.regions[0].box, PLACES[int(Path(hit.path).stem[-1])]) > 0.9


def test_weights_are_shared() -> None:
    vector = np.ones(3, np.float32)
    examples = [Example("a", point=(0, 0)), Example("b", point=(0, 0))]
    away = [Example("c", point=(0, 0), positive=False)] * 4
    made = terms([vector] * 6, [*examples, *away])
    assert [term.weight for term in made] == [0.5, 0.5, *[-NOT_THIS / 4] * 4]
    assert all(term.picture for term in made)


def test_a_point_takes_the_smallest_region_of_more_than_a_patch() -> None:
    masks = np.zeros((4, 4, 4), bool)
    masks[0, 0, 0] = masks[1, :2, :2] = masks[2, :3, :3] = masks[3, 3, 3] = True
    regions = Regions(np.eye(4, dtype=np.float32), masks)

    def at(x: float, y: float) -> list[float]:
        return from_stored(regions, Example("a", point=(x, y))).tolist()

    assert at(0.1, 0.1) == [0, 1, 0, 0]
    assert at(0.6, 0.6) == [0, 0, 1, 0]
    assert at(1.0, 1.0) == [0, 0, 0, 1]
    assert from_stored(regions, Example("a", box=(0, 0, 0.5, 0.5)))[1] > 0.8
    assert np.isclose(np.linalg.norm(at(0.9, 0.1)), 1)  # no region there: all of them


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Example("a"), "one of the two"),
        (lambda: Example("a", box=(0, 0, 1, 1), point=(0, 0)), "one of the two"),
        (lambda: Example("a", box=(0.5, 0, 0.2, 1)), "not inside the picture"),
        (lambda: Example("a", box=(0, 0, 1, 1.2)), "not inside the picture"),
        (lambda: Example("a", point=(0.5, 1.01)), "not inside the picture"),
        (lambda: Example("a", point=(float("nan"), 0.5)), "not inside the picture"),
    ],
)
def test_a_bad_example_gets_one_sentence(make, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QueryError, match=said):
        make()


def test_questions_in_vain(searcher: Searcher) -> None:
    source = find(searcher, "red-0")
    with pytest.raises(QueryError, match="Nothing to find"):
        searcher.find_again([])
    with pytest.raises(QueryError, match="Nothing to find"):
        searcher.find_again([Example(source, point=(0, 0), positive=False)])
    with pytest.raises(QueryError, match="no photo with the id"):
        searcher.find_again([Example("f" * 32, point=(0, 0))])


def test_names_of_photos(searcher: Searcher) -> None:
    source = find(searcher, "red-0")
    (path,) = (h.path for h in searcher.images("red", limit=9).hits if h.path.endswith("red-0.jpg"))
    assert searcher.photo_id(source) == source
    assert searcher.photo_id(path) == source
    with pytest.raises(QueryError, match=r"the path nobody\.jpg in"):
        searcher.photo_id("nobody.jpg")


def test_photos_that_are_gone_keep_what_is_stored(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    for number, place in enumerate(PLACES):
        save(paint("white", [("red", place)], seed=number), tmp_path / "p" / f"red-{number}.jpg")
        save(paint("grey", [], seed=9 + number), tmp_path / "p" / f"grey-{number}.jpg")
    collection = Collection.create(tmp_path / "c", embedder.info)
    index(collection, [tmp_path / "p"], embedder)
    with Searcher.open(tmp_path / "c", embedder=embedder) as searcher:
        stored = searcher.regions("red", all=True, limit=2)
        gone, left = stored.hits
        Path(gone.path).unlink()
        fine = searcher.refine(stored, "red")
        assert fine.hits[0] == gone
        assert fine.hits[1].regions[0].mask.shape != left.regions[0].mask.shape
        assert fine.hits[1].regions[0].score == left.regions[0].score
        (note,) = fine.notes
        assert "The places in 1 photo are as stored" in note
        point = CENTRES[int(Path(gone.path).stem[-1])]
        again = searcher.find_again([Example(gone.id, point=point)], limit=3)
        assert all(name.startswith("red") for name in names(again))
        (note,) = again.notes
        assert gone.id in note
        assert "stored regions were used" in note
