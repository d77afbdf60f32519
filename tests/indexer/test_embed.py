"""Looking ahead, and putting features on readings."""

import threading

import numpy as np
import pytest
from PIL import Image

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.chunks import chunks
from indexer.embed import add_features, look_ahead
from indexer.photo_reader import Reading
from tests.indexer.colours import ColourEmbedder


def test_look_ahead_keeps_the_order_and_its_bound() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            begun.append(n)
        return n * n

    stream = look_ahead(work, range(100), threads=3, ahead=8)
    for n in range(20):
        assert next(stream) == n * n
        assert max(begun) <= n + 8
    stream.close()
    assert len(begun) <= 28
    assert list(look_ahead(work, range(50), threads=4, ahead=7)) == [n * n for n in range(50)]


def test_look_ahead_raises_in_turn() -> None:
    stream = look_ahead(lambda n: 1 // n, [1, 1, 0, 1], threads=2, ahead=4)
    assert [next(stream), next(stream)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_chunks_cover_everything_once() -> None:
    assert list(chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], 3)) == []


def reading(n: int, embedder: ColourEmbedder, size: tuple[int, int], colour: str) -> Reading:
    file = FileRef(f"/r/{n}", "/r", 1, 1, 1)
    pixels = embedder.prepare(Image.new("RGB", size, colour))
    return Reading(file, (), f"{n:032x}", PhotoRow(f"{n:032x}", [file]), pixels)


def test_features_land_on_their_photo_whatever_the_sizes() -> None:
    embedder = ColourEmbedder()
    shapes = [((64, 32), "red"), ((32, 64), "lime"), ((64, 32), "blue"), ((32, 32), "red")]
    readings = [reading(n, embedder, *shape) for n, shape in enumerate(shapes)]
    failed = reading(9, embedder, (8, 8), "red")
    failed.pixels = None
    readings.insert(2, failed)
    done: list[int] = []
    finished = add_features(readings, embedder, 8, done.append, lambda: False)
    assert finished == readings
    assert sum(done) == 4
    channels = []
    for item in (readings[0], readings[1], readings[3], readings[4]):
        assert item.row is not None
        assert item.row.features is not None
        features = item.row.features
        channels.append(int(features.heads["mean"].argmax()))
        assert features.regions.shape[1] == 4
        assert len(features.regions) == len(features.boxes) == len(features.masks)
        np.testing.assert_allclose(np.linalg.norm(features.regions, axis=1), 1, atol=2e-3)
    assert channels == [0, 1, 2, 0]


def test_a_stop_leaves_out_what_is_not_embedded() -> None:
    embedder = ColourEmbedder()
    readings = [
        reading(0, embedder, (64, 32), "red"),
        reading(1, embedder, (32, 64), "red"),
        reading(2, embedder, (64, 32), "red"),
    ]
    finished = add_features(readings, embedder, 8, lambda n: None, lambda: True)
    assert [item.file.path for item in finished] == ["/r/0", "/r/2"]
