"""Near-duplicates: which tier pictures that were saved again land in, what is kept, folding."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from indexer.collection import Collection
from indexer.errors import DiskFullError
from indexer.pipeline import index
from indexer.vectors import point_array, point_keys
from search.duplicates.groups import FILE, TIERS, Duplicates, find
from search.duplicates.likeness import compare, descriptors, signature
from search.duplicates.neighbours import near_pairs
from search.duplicates.pairs import SAME, SIMILAR, Pairs, best_of_groups
from tests.search.colours import ColourEmbedder, save

DEMO = Path(__file__).parents[3] / "ui" / "demo" / "photos"
PHOTOS = sorted(DEMO.rglob("*.jpg"))[::2]
BASES = PHOTOS[::8]


def saved(image: Image.Image, format: str, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, format, quality=quality)
    return Image.open(out).convert("RGB")


def variants(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    width, height = image.size
    yield "jpeg40", saved(image, "JPEG", 40)
    yield "jpeg70", saved(image, "JPEG", 70)
    yield "webp", saved(image, "WEBP", 60)
    yield "small", image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    yield "cropped", image.crop((round(0.05 * width), round(0.03 * height), width, height))
    yield "darker", ImageEnhance.Brightness(image).enhance(0.8)


def others(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    yield "mirrored", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    yield "turned", image.transpose(Image.Transpose.ROTATE_90)
    yield "upside-down", image.transpose(Image.Transpose.ROTATE_180)


def moved(image: Image.Image) -> Image.Image:
    """The next shot: something came into the picture."""
    after = image.copy()
    width, height = image.size
    after.paste((250, 40, 160), (width // 5, height // 5, width // 3, height // 3))
    return after


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Half of the demo's photos; some of them again as `NAME-VARIANT`."""
    base = tmp_path_factory.mktemp("duplicates")
    photos = base / "photos"
    photos.mkdir()
    for path in PHOTOS:
        image = Image.open(path).convert("RGB")
        save(image, photos / f"{path.stem}.jpg")
        if path in BASES:
            for name, changed in (*variants(image), *others(image), ("moved", moved(image))):
                save(changed, photos / f"{path.stem}-{name}.jpg")
    embedder = ColourEmbedder()
    collection = Collection.create(base / "collection", embedder.info)
    index(collection, [photos], embedder)
    return collection


def named(collection: Collection, found: Duplicates, tier: str) -> list[list[str]]:
    """The groups as names without their ending."""
    rows = collection.catalog().photos(found.hex(np.arange(len(found.ids))), ["id", "files"])
    names = {row["id"]: Path(row["files"][0]["path"]).stem for row in rows.iter_rows(named=True)}
    groups = found.groups(tier).split()  # type: ignore[arg-type]
    return [[names[key] for key in found.hex(group)] for group in groups]


def test_pictures_saved_again_are_the_same_and_no_others_are(library: Collection) -> None:
    groups = named(library, find(library), "same")
    assert len(groups) == len(BASES)
    kinds = {kind for kind, _ in variants(Image.new("RGB", (40, 40)))}
    missed = []
    for path in BASES:
        (group,) = (group for group in groups if path.stem in group)
        found = {name.removeprefix(path.stem).removeprefix("-") for name in group}
        assert found <= {"", *kinds}
        missed += kinds - found
    assert missed in ([], ["cropped"])  # of one picture, whose edges say nothing


def test_the_next_shot_is_similar_and_not_the_same(library: Collection) -> None:
    found = find(library)
    same, similar = (named(library, found, tier) for tier in TIERS)
    for path in BASES:
        (near,) = (group for group in similar if path.stem in group)
        (again,) = (group for group in same if path.stem in group)
        assert f"{path.stem}-moved" in near
        assert f"{path.stem}-moved" not in again
        assert set(again) < set(near)
    assert max(len([name for name in group if "-" not in name]) for group in similar) == 1


def test_smaller_copies_that_friends_sent_are_the_same(tmp_path: Path) -> None:
    photos = [*sorted((DEMO / "2024").rglob("*.*"))[::4], *(DEMO / "2024" / "Shared").iterdir()]
    photos += [DEMO / "2024" / "Central Europe" / "IMG_2151.jpg"]
    for path in photos:
        save(Image.open(path).convert("RGB"), tmp_path / "photos" / f"{path.stem}.jpg")
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    index(collection, [tmp_path / "photos"], embedder)
    groups = named(collection, find(collection), "same")
    assert [set(group) for group in groups] == [{"IMG_2151", "berlin"}]


def test_the_best_file_comes_first_and_the_largest_group(library: Collection) -> None:
    found = find(library)
    rows = library.catalog().photos(found.hex(np.arange(len(found.ids))))
    facts = {row["id"]: row for row in rows.iter_rows(named=True)}
    for tier in TIERS:
        groups = [found.hex(group) for group in found.groups(tier).split()]
        sizes = [len(group) for group in groups]
        assert sizes == sorted(sizes, reverse=True)
        for group in groups:
            quality = [(facts[k]["width"] * facts[k]["height"], facts[k]["bytes"]) for k in group]
            assert quality == sorted(quality, reverse=True)


# --- what is kept


@pytest.fixture
def growing(tmp_path: Path) -> tuple[Collection, Path]:
    """A collection of four photos, one of them twice, and their folder."""
    photos = tmp_path / "photos"
    for path in BASES[:4]:
        save(Image.open(path).convert("RGB"), photos / f"{path.stem}.jpg")
    save(saved(Image.open(BASES[0]).convert("RGB"), "JPEG", 40), photos / "again.jpg")
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    index(collection, [photos], embedder)
    return collection, photos


def refresh(collection: Collection, photos: Path) -> None:
    index(collection, [photos], ColourEmbedder())


def test_only_new_photos_are_compared_and_the_answer_is_that_of_a_fresh_search(
    growing: tuple[Collection, Path],
) -> None:
    collection, photos = growing
    assert [set(g) for g in named(collection, find(collection), "same")] == [
        {BASES[0].stem, "again"}
    ]
    second = Image.open(BASES[1]).convert("RGB")
    for name, image in variants(second):
        save(image, photos / f"more-{name}.jpg")
    refresh(collection, photos)
    read: list[int] = []
    grown = find(collection, progress=lambda what, done, total: read.append(total)
                 if what == "reading thumbnails" else None)  # fmt: skip
    assert set(read) == {6}
    (collection.folder / FILE).unlink()
    fresh = find(collection)
    for tier in TIERS:
        assert {frozenset(group) for group in named(collection, grown, tier)} == {
            frozenset(group) for group in named(collection, fresh, tier)
        }
    assert len(named(collection, fresh, "same")) == 2


def test_what_is_gone_is_in_no_group(growing: tuple[Collection, Path]) -> None:
    collection, photos = growing
    assert len(find(collection).groups("same").starts) == 1
    (photos / "again.jpg").unlink()
    refresh(collection, photos)
    found = find(collection)
    assert len(found.groups("same").starts) == 0
    assert len(found.ids) == 4


def test_a_file_that_is_damaged_or_of_another_model_is_made_again(
    growing: tuple[Collection, Path],
) -> None:
    collection, _ = growing
    assert Duplicates.open(collection) is None
    find(collection)
    file = collection.folder / FILE
    assert Duplicates.open(collection.folder) is not None
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert Duplicates.open(collection) is None
    assert len(find(collection).groups("same").starts) == 1
    assert file.stat().st_size == len(whole)
    other = Collection.create(collection.folder.parent / "other", ColourEmbedder(seed=1).info)
    (other.folder / FILE).write_bytes(whole)
    assert Duplicates.open(other) is None


def test_nothing_but_the_result_is_left_behind(growing: tuple[Collection, Path]) -> None:
    collection, photos = growing
    before = set(os.listdir(collection.folder))
    originals = {path: path.stat().st_mtime_ns for path in photos.iterdir()}
    find(collection)
    assert set(os.listdir(collection.folder)) - before == {FILE}
    assert {path: path.stat().st_mtime_ns for path in photos.iterdir()} == originals


def test_photos_that_cannot_be_read_are_no_obstacle(growing: tuple[Collection, Path]) -> None:
    collection, photos = growing
    groups = named(collection, find(collection), "same")
    for name in ("a.jpg", "z.jpg"):  # in the batches of the catalog, before and after others
        (photos / name).write_bytes(name.encode())
    save(Image.open(BASES[5]).convert("RGB"), photos / "new.jpg")
    refresh(collection, photos)
    assert collection.catalog().counts()["failed"] == 2
    assert named(collection, find(collection), "same") == groups


def test_a_full_disk_is_told_before_it_is_written_to(
    growing: tuple[Collection, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(DiskFullError, match="is full or nearly full"):
        find(growing[0])
    assert not (growing[0].folder / FILE).exists()


def test_an_empty_collection_has_none(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "collection", ColourEmbedder().info)
    found = find(collection)
    assert len(found.groups("same").starts) == 0
    keys = point_keys(point_array(["ab" * 16]))
    assert found.fold(keys, "same").kept.tolist() == [0]


@pytest.mark.parametrize(
    ("moments", "together"),
    [
        (("2021:05:03 10:00:00", "2021:05:03 10:00:04"), True),
        (("2021:05:03 10:00:00", "2022:05:03 10:00:00"), False),
        ((None, None), True),
        (("2021:05:03 10:00:00", None), False),
    ],
)
def test_scenes_are_similar_only_when_taken_together(
    tmp_path: Path, moments: tuple[str | None, str | None], together: bool
) -> None:
    image = Image.open(BASES[2]).convert("RGB")
    for name, shot, moment in zip("ab", (image, moved(image)), moments, strict=True):
        save(shot, tmp_path / "photos" / f"{name}.jpg", **({"taken": moment} if moment else {}))
    for path in BASES[4:8]:
        save(Image.open(path).convert("RGB"), tmp_path / "photos" / path.name)
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    index(collection, [tmp_path / "photos"], embedder)
    found = find(collection)
    assert [set(group) for group in named(collection, found, "similar")] == (
        [{"a", "b"}] if together else []
    )
    assert len(found.groups("same").starts) == 0


# --- folding


def made(best: list[int]) -> Duplicates:
    ids = point_array([f"{n * 7 % 11:030x}00" for n in range(len(best))])
    groups = np.array(best, np.int64)
    return Duplicates(
        ids, np.arange(len(best)), {"same": groups, "similar": groups}, 1,
        np.zeros((len(best), 54), np.float16), Pairs.none(),
    )  # fmt: skip


def test_folding_keeps_the_first_of_each_group_and_counts_the_rest() -> None:
    found = made([0, 0, 2, 0, 4, 2, 6, 7])
    unknown = [f"{n:030x}00" for n in (100, 101)]
    ranking = [found.hex(np.array([row]))[0] for row in (5, 3, 7, 2, 0, 6)]
    keys = point_keys(point_array([unknown[0], *ranking, unknown[1]]))
    folded = found.fold(keys, "same")
    assert folded.kept.tolist() == [0, 1, 2, 3, 6, 7]
    assert folded.more.tolist() == [0, 1, 1, 0, 0, 0]
    assert found.group_of(keys, "same").tolist() == [-1, 2, 0, 7, 2, 0, 6, -1]


def test_groups_are_those_of_two_and_more() -> None:
    groups = made([0, 0, 2, 0, 4, 2, 6]).groups("same")
    assert [group.tolist() for group in groups.split()] == [[0, 1, 3], [2, 5]]


def test_a_chain_does_not_join_its_ends() -> None:
    """Photos 0 to 6, each near the next; only those not farther than one step agree."""
    steps = np.arange(6)
    pairs = Pairs(steps, steps + 1, np.full(6, SAME))
    rank = np.array([3, 5, 0, 4, 6, 1, 2])
    best = best_of_groups(pairs, rank, lambda first, second: abs(first - second) <= 1)
    # 2 is the best and takes 1 and 3; of the rest 5 takes 4 and 6; 0 stays alone.
    assert best.tolist() == [0, 2, 2, 2, 5, 5, 5]


def test_photos_that_agree_with_the_best_join_it_without_a_pair() -> None:
    pairs = Pairs(np.array([0, 1]), np.array([1, 2]), np.full(2, SIMILAR))
    rank = np.array([0, 1, 2])
    best = best_of_groups(pairs, rank, lambda first, second: np.ones(len(first), bool))
    assert best.tolist() == [0, 0, 0]


# --- the parts


@pytest.mark.parametrize("start", [0, 2600])
def test_near_pairs_are_those_of_all_products(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.duplicates.neighbours.BLOCK", 500)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2700, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    products = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    rows, columns, found = near_pairs(vectors, 0.95, most=5, start=start)
    assert found == pytest.approx(products[rows, columns], abs=1e-4)
    for row in range(start, 2700):
        earlier = np.flatnonzero(products[row, :row] >= 0.95)
        nearest = earlier[np.argsort(-products[row, earlier])][:5]
        assert set(columns[rows == row]) == set(nearest)


def pixels(image: Image.Image) -> np.ndarray:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=75)
    return signature(out.getvalue())[None]


def test_the_overlap_of_a_crop_is_its_part_of_the_picture() -> None:
    image = Image.open(BASES[3]).convert("RGB")
    width, height = image.size
    part = image.crop((0, 0, round(0.85 * width), round(0.9 * height)))
    for pair in ((image, part), (part, image)):
        found = compare(*map(pixels, pair))
        assert found.overlap[0] == pytest.approx(0.85 * 0.9, abs=0.03)
        assert found.detail[0] > 0.8  # the line of `same` in `search/duplicates/pairs.py`


def test_descriptors_are_near_only_for_near_pictures() -> None:
    images = [Image.open(path).convert("RGB") for path in BASES]
    again = [saved(image, "JPEG", 40).resize((200, 150)) for image in images]
    first, second = (
        descriptors(np.concatenate([pixels(image) for image in some])) for some in (images, again)
    )
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(len(first)), abs=1e-5)
    products = first @ second.T
    assert products.diagonal().min() > 0.95
    assert (products - np.eye(len(products)) * 2).max() < 0.75


def test_pictures_without_detail_are_like_nothing() -> None:
    black, grey = (Image.new("RGB", (60, 40), (shade,) * 3) for shade in (0, 128))
    for pair in ((black, grey), (grey, grey)):
        assert compare(*map(pixels, pair)).detail[0] == 0
