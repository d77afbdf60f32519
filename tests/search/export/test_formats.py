"""What leaves the library: tables, COCO annotations, copies; read back with other readers."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.export.coco import CocoFormat
from search.export.files import LONGEST_STEM, FolderCopies, Names, ZipFormat
from search.export.formats import CsvFormat, JsonFormat, encoded, hits_of, pages_of, plain_cell
from search.hits import Hit, RegionHit, Results
from search.searcher import Searcher
from tips_model.eval.coco import mask_of, read_coco_set
from tips_model.run_lengths import run_lengths


def hit(path: str, *regions: RegionHit, size: tuple[int, int] = (40, 30), copies: int = 0) -> Hit:
    paths = (path, *(f"{path}.{number}" for number in range(copies)))
    return Hit("0" * 32, path, paths, 1.5, True, *size, regions)


def region(mask: np.ndarray, text: str = "", score: float = 1.25) -> RegionHit:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    box = (
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    )
    return RegionHit(tuple(map(float, box)), score, mask, text)  # type: ignore[arg-type]


def archive(hits: list[Hit]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(encoded(ZipFormat(), hits))))


# --- pages


@pytest.mark.parametrize("page", [1, 3, 4, 500])
@pytest.mark.parametrize("everything", [False, True])
def test_pages_make_the_whole_answer(searcher: Searcher, page: int, everything: bool) -> None:
    def ask(limit: int, offset: int) -> Results:
        return searcher.images("red", limit=limit, offset=offset, all=everything)

    whole = searcher.images("red", limit=100, all=everything).hits
    assert len(whole) == (40 if everything else 4)
    assert tuple(hits_of(ask, all=everything, page=page)) == whole
    some = tuple(hits_of(ask, limit=3, all=everything, page=page))
    assert some == whole[:3]


def test_an_answer_without_hits_is_one_page(searcher: Searcher) -> None:
    pages = list(pages_of(lambda n, at: searcher.images("orange", limit=n, offset=at)))
    assert [page.hits for page in pages] == [()]


def test_a_page_short_of_photos_that_are_gone_does_not_end_the_answer() -> None:
    def ask(limit: int, offset: int) -> Results:
        there = [n for n in range(offset, min(offset + limit, 9)) if n % 4]
        return Results("q", "m", tuple(hit(f"/{n}.jpg") for n in there), 9, 9)

    found = [h.path for h in hits_of(ask, page=1)]
    assert found == [f"/{n}.jpg" for n in (1, 2, 3, 5, 6, 7)]


# --- tables


def test_csv_says_what_the_hits_say(searcher: Searcher) -> None:
    results = searcher.regions("blue", limit=10)
    lines = b"".join(encoded(CsvFormat(), results.hits)).decode()
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert len(rows) == len(results.hits) == 4
    for row, expected in zip(rows, results.hits, strict=True):
        assert (row["id"], row["path"]) == (expected.id, expected.path)
        assert float(row["score"]) == pytest.approx(expected.score, abs=1e-6)
        assert (row["width"], row["height"], row["confident"]) == ("192", "128", "true")
        assert json.loads(row["regions"]) == expected.to_dict()["regions"]


@pytest.mark.parametrize("name", ["=1+1.jpg", "+a", "-a", "@a", "\ta", "\ra", "\na", "＝a"])
def test_no_cell_is_a_formula(name: str) -> None:
    lines = b"".join(encoded(CsvFormat(), [hit(name)])).decode()
    row = list(csv.reader(io.StringIO(lines, newline="")))[1]
    assert row[1] == f"'{name}"
    assert plain_cell("/a=b,c.jpg") == "/a=b,c.jpg"


def test_numbers_below_zero_stay_numbers() -> None:
    weak = Hit("0" * 32, "/a.jpg", ("/a.jpg",), -0.25, False, 1, 1)
    assert b",-0.25,false," in b"".join(CsvFormat().hit(weak))


def test_json_is_that_of_results(searcher: Searcher) -> None:
    results = searcher.regions("green and blue", limit=10, all=True)
    assert len(results.hits) > 1
    heading = JsonFormat(results.query, results.model, results.total)
    text = b"".join(encoded(heading, results.hits))
    assert json.loads(text) | {"next": results.next} == results.to_dict()
    assert json.loads(b"".join(encoded(JsonFormat("ü", "m"), [])))["hits"] == []


# --- COCO


def scattered(seed: int, shape: tuple[int, int]) -> np.ndarray:
    mask = np.random.default_rng(seed).random(shape) < 0.4
    mask[0, 0] = bool(seed % 2)  # a mask that begins with a pixel inside, and one that does not
    mask[-1, -1] = True
    return mask


def stretched(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """The plain reference: every cell filled in, (height, width)."""
    edges = [np.round(np.arange(n + 1) * side / n).astype(int) for n, side in zip(
        mask.shape, (height, width), strict=True)]  # fmt: skip
    pixels = np.zeros((height, width), bool)
    for y, x in np.argwhere(mask):
        pixels[edges[0][y] : edges[0][y + 1], edges[1][x] : edges[1][x + 1]] = True
    return pixels


@pytest.mark.parametrize(("width", "height"), [(40, 30), (37, 53), (8, 6), (5, 3), (1, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_are_the_mask_column_by_column(seed: int, width: int, height: int) -> None:
    mask = scattered(seed, (6, 8))
    counts = run_lengths(mask, width, height)
    assert counts.sum() == width * height
    assert (counts[1:] > 0).all()
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert (stretched(mask, width, height) == flat.reshape(width, height).T).all()


def coco_file(folder: Path, hits: list[Hit], root: str | None = None) -> Path:
    target = folder / "instances.json"
    target.write_bytes(b"".join(encoded(CocoFormat("red mug", root), hits)))
    return target


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_boxes_areas_and_masks(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    masks = [scattered(seed, (6, 8)) for seed in range(3)]
    hits = [
        hit("/photos/a.jpg", region(masks[0], "mug"), region(masks[1], "cup"), size=(61, 43)),
        hit("/photos/b.jpg"),
        hit("/photos/c.jpg", region(masks[2], "mug"), size=(30, 90)),
    ]
    data = coco.COCO(str(coco_file(tmp_path, hits, "/photos/")))
    assert [image["file_name"] for image in data.loadImgs([1, 2, 3])] == ["a.jpg", "b.jpg", "c.jpg"]
    assert {c["name"]: c["id"] for c in data.loadCats(data.getCatIds())} == {"mug": 1, "cup": 2}
    sizes = [(61, 43), (61, 43), (30, 90)]
    for note, mask, size in zip(data.loadAnns([1, 2, 3]), masks, sizes, strict=True):
        expected = stretched(mask, *size)
        assert (data.annToMask(note) == expected).all()
        assert note["area"] == expected.sum()
    x, y, width, height = data.loadAnns([3])[0]["bbox"]
    assert (x + width, y + height) == (30, 90)


def test_our_own_reader_reads_it_back(searcher: Searcher, tmp_path: Path) -> None:
    hits = list(searcher.regions("red", limit=10).hits)
    coco_file(tmp_path, hits)
    data = read_coco_set(tmp_path)
    assert data.categories == ("red mug",)
    assert [str(image.path) for image in data.images] == [h.path for h in hits]
    for image, expected in zip(data.images, hits, strict=True):
        assert (image.width, image.height) == (192, 128)
        for thing, place in zip(image.objects, expected.regions, strict=True):
            x, y, width, height = thing.box
            box = np.array([x / 192, y / 128, (x + width) / 192, (y + height) / 128])
            assert box == pytest.approx(np.array(place.box), abs=1e-3)
            assert (mask_of(image, thing) == stretched(place.mask, 192, 128)).all()


def test_images_beyond_the_memory_limit_are_all_there(tmp_path: Path) -> None:
    writer = CocoFormat("q")
    writer._images._max_size = 1000  # type: ignore[attr-defined]
    hits = [hit(f"/{n}.jpg") for n in range(100)]
    content = json.loads(b"".join(encoded(writer, hits)))
    assert [image["id"] for image in content["images"]] == list(range(1, 101))


# --- copies


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, content: bytes = b"photo", moment: int = 1_600_000_000) -> Path:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (moment, moment))
        return path

    return make


def test_a_zip_holds_the_bytes_and_times_of_the_files(photo: Callable[..., Path]) -> None:
    big = os.urandom(3_000_001)
    hits = [hit(str(photo("a/1.jpg", big))), hit(str(photo("b/1.jpg"))), hit(str(photo("ü.jpg")))]
    opened = archive(hits)
    assert opened.testzip() is None
    assert opened.namelist() == ["1.jpg", "1 (2).jpg", "ü.jpg"]
    assert opened.read("1.jpg") == big
    assert {entry.compress_type for entry in opened.infolist()} == {zipfile.ZIP_STORED}
    import time

    assert opened.infolist()[0].date_time == time.localtime(1_600_000_000)[:6]


def test_a_zip_is_made_in_small_pieces(photo: Callable[..., Path]) -> None:
    pieces = list(encoded(ZipFormat(), [hit(str(photo("a.jpg", bytes(9_000_000))))]))
    assert sum(map(len, pieces)) > 9_000_000
    assert max(map(len, pieces)) < 1_100_000


def test_a_zip_over_the_old_limits_is_whole(
    photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # for 4 GB
    content = os.urandom(5000)
    opened = archive([hit(str(photo(f"{n}.jpg", content))) for n in range(3)])
    assert opened.testzip() is None
    assert all(opened.read(name) == content for name in opened.namelist())


def test_what_is_gone_is_named_and_the_rest_is_there(photo: Callable[..., Path]) -> None:
    kept, gone = photo("kept.jpg"), photo("gone\n.jpg")
    gone.unlink()
    folder = photo("folder.jpg/inside")
    pipe = kept.with_name("pipe.jpg")
    os.mkfifo(pipe)
    opened = archive([hit(str(path)) for path in (gone, kept, folder.parent, pipe)])
    assert opened.namelist() == ["kept.jpg", "MISSING.txt"]
    lines = opened.read("MISSING.txt").decode().splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("gone\\n.jpg: No such file or directory")
    assert lines[1].endswith("folder.jpg: it is not a file")
    assert lines[2].endswith("pipe.jpg: it is not a file")


def test_another_copy_stands_in_for_one_that_is_gone(photo: Callable[..., Path]) -> None:
    photo("a.jpg.0", b"the copy")
    opened = archive([hit(str(photo("a.jpg").parent / "b.jpg")), hit(
        str(photo("a.jpg").with_name("a.jpg")), copies=1)])  # fmt: skip
    assert opened.namelist() == ["a.jpg", "MISSING.txt"]
    photo("a.jpg").unlink()
    assert archive([hit(str(photo("x").with_name("a.jpg")), copies=1)]).read("a.jpg") == b"the copy"


def test_a_file_cut_short_while_it_is_read_is_named(photo: Callable[..., Path]) -> None:
    path = photo("a.jpg", bytes(4_000_000))
    writer = ZipFormat()
    pieces = writer.hit(hit(str(path)))
    out = [next(iter(pieces))]
    os.truncate(path, 2_000_000)
    out += [*pieces, *writer.tail()]
    opened = zipfile.ZipFile(io.BytesIO(b"".join(out)))
    assert opened.testzip() is None
    assert "it ended early; the copy is not whole" in opened.read("MISSING.txt").decode()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x.jpg", "/b/x.jpg", "/c/X.JPG"], ["x.jpg", "x (2).jpg", "X (3).JPG"]),
        (["/a/x (2).jpg", "/x.jpg", "/b/x.jpg"], ["x (2).jpg", "x.jpg", "x (3).jpg"]),
        (["/a/..", "/a/.", "/a/..jpg"], ["photo", "photo (2)", "jpg"]),
        (["/a/b\\..\\c.jpg", "/a/\x01\u202e:.jpg"], ["b_.._c.jpg", "___.jpg"]),
        (["/a/con.jpg", "/a/NUL", "/a/x. "], ["_con.jpg", "_NUL", "x"]),
        (["/missing.txt", "/u\u0308", "/\u00fc"], ["missing (2).txt", "u\u0308", "ü (2)"]),
    ],
)  # fmt: skip
def test_names_are_safe_and_distinct(paths: list[str], names: list[str]) -> None:
    given = Names()
    assert [given.name(path) for path in paths] == names


def test_long_names_leave_room_for_a_number() -> None:
    given = Names()
    names = [given.name("/" + "ü" * 120 + ".jpg") for _ in range(2)]
    assert len(names[1].encode()) <= LONGEST_STEM + len(" (2).jpg")
    assert names[0].endswith("ü.jpg")


def test_copies_in_a_folder_keep_times_and_leave_the_originals(
    photo: Callable[..., Path], tmp_path: Path
) -> None:
    first, second = photo("a/1.jpg", b"one"), photo("b/1.jpg", b"two")
    before = first.stat()
    copies = FolderCopies(tmp_path / "out")
    for path in (first, second, tmp_path / "gone.jpg"):
        copies.add(hit(str(path)))
    copies.close()
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["1 (2).jpg", "1.jpg", "MISSING.txt"]
    assert (tmp_path / "out" / "1 (2).jpg").read_bytes() == b"two"
    assert (tmp_path / "out" / "1.jpg").stat().st_mtime_ns == before.st_mtime_ns
    after = first.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_ino,
    )
