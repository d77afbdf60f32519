import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tips_model.preprocess import fit_size, prepare, to_float


@pytest.mark.parametrize(
    ("picture", "image_size", "patch", "expected"),
    [
        ((448, 448), 448, 14, (448, 448)),
        ((4000, 3000), 448, 14, (504, 378)),
        ((3000, 4000), 448, 14, (378, 504)),
        ((6000, 4000), 448, 14, (546, 364)),
        ((1920, 1080), 448, 14, (588, 336)),
        ((10_000, 500), 448, 14, (896, 224)),
        ((500, 10_000), 448, 14, (224, 896)),
        ((1, 1), 448, 14, (14, 14)),
        ((64, 64), 448, 14, (252, 252)),
        ((640, 480), 96, 8, (104, 80)),
    ],
)
def test_sizes_keep_the_aspect_and_the_number_of_patches(picture, image_size, patch, expected):
    assert fit_size(*picture, image_size, patch) == expected


sides = st.integers(1, 100_000)


@given(width=sides, height=sides, patch=st.sampled_from([8, 14, 16]))
def test_every_size_fits(width, height, patch):
    w, h = fit_size(width, height, 224, patch)
    assert w % patch == h % patch == 0
    assert patch <= w
    assert patch <= h
    assert (w // patch) * (h // patch) <= (224 // patch) ** 2
    assert fit_size(height, width, 224, patch) == (h, w)


@given(width=st.integers(500, 20_000), aspect=st.floats(0.3, 3.3))
def test_photos_keep_their_aspect_within_a_patch_and_use_the_grid(width, aspect):
    height = round(width / aspect)
    w, h = fit_size(width, height, 448, 14)
    assert abs(np.log((w / h) / (width / height))) < np.log(1.06)
    assert (w // 14) * (h // 14) >= 0.9 * 1024


def test_no_pixels_are_refused():
    with pytest.raises(ValueError, match="no pixels"):
        fit_size(0, 10, 448, 14)


def test_pixels_are_rgb_rows_first():
    image = Image.new("RGB", (28, 14), (255, 128, 0))
    pixels = prepare(image, 28, 14)
    assert pixels.dtype == torch.uint8
    assert pixels.shape[0] == 3
    assert pixels.shape[2] > pixels.shape[1]
    assert pixels[:, 0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode):
    """Upstream does not convert: a grey or transparent picture breaks there."""
    pixels = prepare(Image.new(mode, (30, 30)), 28, 14)
    assert pixels.shape == (3, 28, 28)


def test_resize_is_antialiased_bilinear_and_leaves_the_picture_alone():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (100, 100, 3), dtype=np.uint8))
    before = image.tobytes()
    pixels = prepare(image, 56, 14)
    assert image.tobytes() == before
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float(),
        size=(56, 56),
        mode="bilinear",
        antialias=True,
    )
    assert (pixels.float() - reference[0]).abs().max() <= 1


def test_values_are_between_zero_and_one_without_mean_or_deviation():
    values = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert values.dtype == torch.float32
    assert values.tolist() == pytest.approx([0.0, 0.2, 1.0])
    with pytest.raises(ValueError, match="uint8"):
        to_float(torch.zeros(3))
