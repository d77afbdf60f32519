import io
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from tips_model.train.config import Stage
from tips_model.train.dataset import (
    TableSource,
    decode,
    open_table,
    record_batches,
    shuffled,
    write_table,
)
from tips_model.train.source import BadItems, DataError


def _png(number: int, size: tuple[int, int] = (8, 6)) -> bytes:
    """A picture of one shade of grey."""
    out = io.BytesIO()
    Image.new("RGB", size, (number, number, number)).save(out, "PNG")
    return out.getvalue()


def _batches(numbers: Iterable[int], broken: tuple[int, ...] = ()) -> Iterator[pa.RecordBatch]:
    """Rows with these numbers in key, shade and captions."""
    return record_batches(
        {
            "key": f"k{i}",
            "image": b"no picture" if i in broken else _png(i),
            "web": f"web {i}",
            "synthetic": [f"one {i}", f"two {i}"],
            "objects": None,
        }
        for i in numbers
    )


def _table(folder: Path, rows: int = 10, broken: tuple[int, ...] = ()) -> Path:
    write_table(folder, _batches(range(rows), broken))
    return folder


def _data_files(folder: Path) -> list[Path]:
    return list((folder / "pairs.lance" / "data").glob("*.lance"))


def _stage(name: str = "s") -> Stage:
    return Stage(name=name, steps=10, batch=4, resolution=8)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 65, 1000])
def test_shuffling_is_a_permutation(count: int):
    order = shuffled(np.arange(count), count, 5)
    assert sorted(order.tolist()) == list(range(count))


def test_shuffling_depends_on_the_key_and_moves_most_items():
    one, two = (shuffled(np.arange(1000), 1000, key) for key in (1, 2))
    assert (one == np.arange(1000)).mean() < 0.02
    assert (one == two).mean() < 0.02
    assert abs(np.corrcoef(one, np.arange(1000))[0, 1]) < 0.1


def test_every_row_comes_once_in_a_pass(tmp_path: Path):
    source = TableSource(_table(tmp_path, rows=12))
    seen = [text for step in range(3) for text in source.batch(_stage(), step, 0, 1, 4).web]
    assert sorted(seen) == sorted(f"web {i}" for i in range(12))
    again = [text for step in range(3, 6) for text in source.batch(_stage(), step, 0, 1, 4).web]
    assert sorted(again) == sorted(seen)
    assert again != seen


def test_pictures_go_with_their_captions(tmp_path: Path):
    batch = TableSource(_table(tmp_path)).batch(_stage(), 1, 0, 1, 10)
    for image, web, synthetic in zip(batch.images, batch.web, batch.synthetic, strict=True):
        number = int(web.split()[1])
        assert torch.equal(image, torch.full((3, 6, 8), number, dtype=torch.uint8))
        assert list(synthetic) == [f"one {number}", f"two {number}"]


def test_a_batch_depends_on_the_step_alone_and_is_shared_among_processes(tmp_path: Path):
    folder = _table(tmp_path, rows=50)
    whole = TableSource(folder, seed=3).batch(_stage(), 2, 0, 1, 8).web
    late = TableSource(folder, seed=3)
    parts = [late.batch(_stage(), 2, rank, 2, 4).web for rank in (0, 1)]
    assert [*parts[0], *parts[1]] == list(whole)
    assert list(TableSource(folder, seed=4).batch(_stage(), 2, 0, 1, 8).web) != list(whole)
    assert list(late.batch(_stage("t"), 2, 0, 1, 8).web) != list(whole)


def test_missing_captions_are_filled_from_the_other_kind(tmp_path: Path):
    rows = [
        {"key": "a", "image": _png(1), "web": None, "synthetic": ["only"], "objects": None},
        {"key": "b", "image": _png(2), "web": "web", "synthetic": [], "objects": None},
    ]
    write_table(tmp_path, record_batches(rows))
    batch = TableSource(tmp_path).batch(_stage(), 0, 0, 1, 2)
    assert sorted(batch.web) == ["only", "web"]
    assert sorted(batch.synthetic) == [["only"], ["web"]]


def test_broken_pictures_are_named_and_replaced(tmp_path: Path, caplog):
    source = TableSource(_table(tmp_path, rows=10, broken=(3, 4)))
    with caplog.at_level(logging.WARNING):
        web = source.batch(_stage(), 0, 0, 1, 10).web
    assert sorted(web) == sorted(
        [*(f"web {i}" for i in range(10) if i not in (3, 4))] + ["web 5"] * 2
    )
    assert sorted(r.args[0] for r in caplog.records) == source.bad.names() == ["k3", "k4"]
    assert list(source.batch(_stage(), 0, 0, 1, 10).web) == list(web)


def test_too_many_broken_pictures_end_the_run_with_the_count(tmp_path: Path):
    source = TableSource(_table(tmp_path, rows=10, broken=(1, 2, 3)), bad_limit=2)
    with pytest.raises(DataError, match=r"^3 items .* limit of 2"):
        source.batch(_stage(), 0, 0, 1, 10)


@pytest.mark.parametrize("kind", ["cut", "captions", "footer"])
def test_damage_inside_the_table_ends_with_the_count_not_with_lances_words(
    tmp_path: Path, kind: str
):
    data = _data_files(_table(tmp_path, rows=40))[0]
    content = bytearray(data.read_bytes())
    if kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "captions":
        start = content.index(b"web 0")
        content[start - 200 : start + 200] = bytes(400)
    else:
        content[-400:] = bytes(400)
    data.write_bytes(content)
    with pytest.raises(DataError, match=r"^6 items of .* limit of 5, one of them row \d+"):
        TableSource(tmp_path, bad_limit=5).batch(_stage(), 0, 0, 1, 10)


def test_rows_of_a_damaged_fragment_are_named_and_replaced(tmp_path: Path, caplog):
    first = _data_files(_table(tmp_path, rows=10))
    open_table(tmp_path).add(pa.Table.from_batches(_batches(range(10, 14))))
    newest = next(file for file in _data_files(tmp_path) if file not in first)
    newest.write_bytes(newest.read_bytes()[:100])
    source = TableSource(tmp_path)
    with caplog.at_level(logging.WARNING):
        web = source.batch(_stage(), 0, 0, 1, 14).web
    assert set(web) == {f"web {i}" for i in range(10)}
    assert source.bad.names() == [f"row {i}" for i in range(10, 14)]
    assert len(caplog.records) == 4
    assert all("cargo" not in record.getMessage() for record in caplog.records)
    assert list(source.batch(_stage(), 0, 0, 1, 14).web) == list(web)


def test_a_table_whose_description_is_damaged_is_one_sentence(tmp_path: Path):
    for part in (_table(tmp_path) / "pairs.lance" / "_versions").iterdir():
        part.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"cannot be opened, import it again"):
        TableSource(tmp_path)


def test_the_limit_counts_what_other_processes_and_earlier_parts_skipped():
    bad = BadItems(2)
    assert bad.add("a")
    assert not bad.add("a")
    bad.merge(["a", "b"])
    with pytest.raises(DataError, match=r"^3 items of the data cannot be read"):
        bad.merge(["c"], [])


def test_pictures_are_upright_and_transparency_is_white():
    upright, out = Image.new("RGB", (8, 6)), io.BytesIO()
    exif = upright.getexif()
    exif[0x0112] = 6
    upright.save(out, "JPEG", exif=exif)
    assert decode(out.getvalue(), 8).shape == (3, 8, 6)
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(out, "PNG")
    assert decode(out.getvalue(), 8).unique().tolist() == [255]


def test_making_a_table_says_nothing_to_users(tmp_path: Path, capfd):
    _table(tmp_path)
    _table(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_large_pictures_are_reduced_to_twice_the_resolution():
    assert decode(_png(9, (100, 50)), 8).shape == (3, 16, 32)
    assert decode(_png(9, (12, 10)), 8).shape == (3, 10, 12)
    assert decode(_png(9, (100, 50)), 8).unique().tolist() == [9]


def test_a_folder_without_table_and_an_empty_table_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no training table"):
        open_table(tmp_path)
    write_table(tmp_path, record_batches([]))
    with pytest.raises(DataError, match="is empty"):
        TableSource(tmp_path)
