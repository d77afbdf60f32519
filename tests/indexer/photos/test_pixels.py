"""Pixels of every mode to small RGB: the same as in one piece, within a bound of memory."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.photos import pixels
from indexer.photos.pixels import WORKING_BYTES, small_rgb
from tests.photos import make

ROOT = Path(__file__).parents[3]
SIZE = (171, 133)
RANDOM = np.random.default_rng(0)


def noise(channels: int) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (*SIZE[::-1], channels), np.uint8))


def stored(image: Image.Image, **options: object) -> Image.Image:
    """As it comes out of a PNG."""
    loaded = Image.open(BytesIO(make.encode(image, "PNG", **options)))
    loaded.load()
    return loaded


def wide(high: int, kind: type) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, high, SIZE[::-1]).astype(kind))


PICTURES = {
    "RGB": noise(3),
    "RGBA": noise(4),
    "LA": noise(4).convert("LA"),
    "P": noise(3).quantize(17),
    "P, a colour transparent": stored(noise(3).quantize(9), transparency=3),
    "RGB, a colour transparent": stored(noise(3), transparency=(1, 2, 3)),
    "1": noise(3).convert("1"),
    "CMYK": noise(3).convert("CMYK"),
    "I;16": wide(65536, np.uint16),
    "I": wide(70_000, np.int32),
    "F": Image.fromarray(RANDOM.normal(size=SIZE[::-1]).astype(np.float32) * 99),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("factor", [1, 3])
def test_tiles_leave_no_trace(name: str, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small_rgb(PICTURES[name], factor)[0]
    monkeypatch.setattr(pixels, "_TILE", 16)
    assert np.array_equal(np.asarray(small_rgb(PICTURES[name], factor)[0]), np.asarray(whole))
    assert whole.mode == "RGB"
    assert whole.size == (-(-SIZE[0] // factor), -(-SIZE[1] // factor))


def test_sixteen_bits_are_rounded_to_the_nearest_eight() -> None:
    samples = np.arange(65536).astype(np.uint16).reshape(256, 256)
    eight = np.asarray(small_rgb(Image.fromarray(samples), 1)[0])[..., 0].astype(int)
    assert np.array_equal(eight, np.round(samples / 257))
    assert np.abs(eight - (samples >> 8)).max() <= 1


PEAK = """
import resource, sys
from io import BytesIO
from PIL import Image
from indexer.photos.decode import decode_stream
from tests.photos import make

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

mode, side = sys.argv[1], int(sys.argv[2])
data = make.encode(Image.new("1" if mode == "P" else mode, (side, side)).convert(mode), "PNG")
small = make.encode(Image.new(mode, (64, 64)), "PNG")
decode_stream(BytesIO(small))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak of making the picture
before = peak()
decode_stream(BytesIO(data))
print(peak() - before)
"""


@pytest.mark.parametrize(("mode", "bytes_a_pixel"), [("I;16", 2), ("RGBA", 4), ("P", 1), ("LA", 4)])
def test_a_large_picture_takes_little_more_than_its_pixels(mode: str, bytes_a_pixel: int) -> None:
    side = 6000
    run = subprocess.run(
        [sys.executable, "-c", PEAK, mode, str(side)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert int(run.stdout) < side * side * bytes_a_pixel + WORKING_BYTES
