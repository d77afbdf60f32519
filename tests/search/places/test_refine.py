import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from search.places.guided import GuidedFilter
from search.places.refine import (
    FinePhoto,
    cell_of,
    cells_in,
    connected,
    is_large,
    mask_box,
    on_finest,
    resized,
)

RED, GREY = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)


def disc_photo() -> tuple[Image.Image, np.ndarray]:
    """A red disc on grey, 240 x 160 pixels, and its mask."""
    rows, columns = np.mgrid[:160, :240]
    disc = (rows - 70) ** 2 + (columns - 150) ** 2 < 40**2
    pixels = np.where(disc[..., None], (220, 30, 30), (128, 128, 128)).astype(np.uint8)
    return Image.fromarray(pixels), disc


def patches_of(disc: np.ndarray, side: int) -> np.ndarray:
    """Unit patches (h, w, 3): red by the part of each that the disc covers."""
    height, width = disc.shape[0] // side, disc.shape[1] // side
    part = disc.reshape(height, side, width, side).mean(axis=(1, 3))[..., None]
    mixed = part * RED + (1 - part) * GREY
    return (mixed / np.linalg.norm(mixed, axis=2, keepdims=True)).astype(np.float32)


def fine_photo() -> tuple[FinePhoto, np.ndarray]:
    photo, disc = disc_photo()
    return FinePhoto(photo, [patches_of(disc, 20), patches_of(disc, 10)]), disc


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_a_place_takes_on_the_edges_of_the_thing() -> None:
    fine, disc = fine_photo()
    (place,) = fine.places(RED, [np.ones((8, 12), bool)])
    assert overlap(resized(place.mask, disc.shape), disc) > 0.95
    np.testing.assert_allclose(place.box, (110 / 240, 30 / 160, 190 / 240, 110 / 160), atol=0.02)
    assert place.heat == 1
    patches = patches_of(disc, 10)[..., 0] > patches_of(disc, 10)[..., 1]
    assert overlap(resized(patches, disc.shape), disc) < 0.93  # the patches alone are coarser


def test_the_same_photo_gives_the_same_places() -> None:
    one, two = (fine_photo()[0].places(RED, [np.ones((8, 12), bool)]) for _ in range(2))
    np.testing.assert_array_equal(one[0].mask, two[0].mask)


def two_discs() -> FinePhoto:
    photo, disc = disc_photo()
    pixels = np.array(photo)
    second = np.roll(disc, (20, -100), (0, 1))
    pixels[second] = (220, 30, 30)
    return FinePhoto(Image.fromarray(pixels), [patches_of(disc | second, 10)])


def test_a_further_place_needs_a_stored_one_and_heat() -> None:
    fine = two_discs()
    everything, left = np.ones((16, 24), bool), np.zeros((16, 24), bool)
    left[:, :10] = True
    assert len(fine.places(RED, [everything])) == 1
    both = fine.places(RED, [everything, left])
    assert len(both) == 2
    assert not (both[0].mask & both[1].mask).any()
    corner = np.zeros((16, 24), bool)
    corner[:2, -2:] = True
    assert len(fine.places(RED, [everything, corner])) == 1


def test_a_flat_photo_is_one_place() -> None:
    photo = Image.new("RGB", (96, 64), "grey")
    fine = FinePhoto(photo, [np.tile(GREY, (8, 12, 1))])
    (place,) = fine.places(RED, [np.ones((8, 12), bool)])
    assert place.box == (0, 0, 1, 1)
    assert fine.heat(RED).max() == 0


def test_a_click_and_a_box_select_the_thing() -> None:
    fine, disc = fine_photo()
    assert overlap(resized(fine.at_point((150 / 240, 70 / 160)), disc.shape), disc) > 0.95
    ground = resized(fine.at_point((0.05, 0.9)), disc.shape)
    assert overlap(ground, ~disc) > 0.95
    box = fine.in_box((105 / 240, 25 / 160, 195 / 240, 115 / 160))
    assert overlap(resized(box, disc.shape), disc) > 0.95
    np.testing.assert_allclose(fine.pooled(box)[:2], [1, 0], atol=0.2)
    assert fine.pooled(ground)[1] > 0.98


def test_the_guided_filter_is_the_textbook_one() -> None:
    rng = np.random.default_rng(0)
    guide = rng.random((9, 11, 3)).astype(np.float32)
    maps = rng.random((2, 9, 11)).astype(np.float32)
    radius, smoothness = 2, 1e-3
    found = GuidedFilter(guide, radius, smoothness)(maps)
    padded = np.pad(guide, ((2 * radius,) * 2, (2 * radius,) * 2, (0, 0)), "edge").astype(float)
    for number, each in enumerate(maps):
        values = np.pad(each, 2 * radius, "edge").astype(float)
        slopes = np.zeros((9, 11, 3))
        offsets = np.zeros((9, 11))
        for y, x in np.ndindex(9, 11):
            window = slice(y + radius, y + 3 * radius + 1), slice(x + radius, x + 3 * radius + 1)
            colours, value = padded[window].reshape(-1, 3), values[window].ravel()
            covariance = np.cov(colours.T, bias=True) + smoothness * np.eye(3)
            shared = (colours * value[:, None]).mean(0) - colours.mean(0) * value.mean()
            slopes[y, x] = np.linalg.solve(covariance, shared)
            offsets[y, x] = value.mean() - slopes[y, x] @ colours.mean(0)
        size = 2 * radius + 1
        mean = ndimage.uniform_filter(slopes, (size, size, 1), mode="nearest")
        expected = (mean * guide).sum(2) + ndimage.uniform_filter(offsets, size, mode="nearest")
        np.testing.assert_allclose(found[number], expected, atol=2e-3)


def test_maps_of_all_scales_are_summed_where_they_lie() -> None:
    coarse = np.array([[0, 1]], np.float32)
    fine = np.array([[0, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(on_finest([coarse, fine]), [[0, 0.25, 0.75, 2]])
    channels = on_finest([coarse[..., None] * [1, 2], fine[..., None] * [1, 2]])
    np.testing.assert_allclose(channels, [[[0, 0], [0.25, 0.5], [0.75, 1.5], [2, 4]]])


def test_cells_masks_and_boxes_by_hand() -> None:
    assert cell_of((0.0, 0.99), (4, 6)) == (3, 0)
    assert cell_of((1.0, 1.0), (4, 6)) == (3, 5)
    inside = cells_in((0.5, 0.0, 1.0, 0.5), (4, 6))
    assert inside.sum() == 6
    assert inside[:2, 3:].all()
    assert cells_in((0.01, 0.01, 0.02, 0.02), (4, 6)).sum() == 1
    assert mask_box(inside) == (0.5, 0.0, 1.0, 0.5)
    np.testing.assert_array_equal(resized(inside, (2, 2)), [[False, True], [False, False]])
    split = np.array([[1, 1, 0, 1]], bool)
    np.testing.assert_array_equal(connected(split, (0, 1)), [[True, True, False, False]])
    assert not connected(split, (0, 2)).any()


@pytest.mark.parametrize("size", [(30, 300), (301, 7), (64, 64)])
def test_any_shape_of_photo_gives_a_box_inside(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8))
    patches = rng.standard_normal((3, 7, 8)).astype(np.float32)
    patches /= np.linalg.norm(patches, axis=2, keepdims=True)
    fine = FinePhoto(photo, [patches])
    for place in fine.places(patches[1, 2], [np.ones((3, 7), bool)] * 3):
        x0, y0, x1, y1 = place.box
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert place.mask.any()


def test_a_large_region_is_grown_as_a_whole_and_a_small_one_from_the_peak() -> None:
    fine = two_discs()
    whole = fine.places(RED, [np.ones((16, 24), bool)])[0].mask
    left = np.zeros((16, 24), bool)
    left[2:14, 1:11] = True  # around the second disc, 31 % of the photo
    (large,) = fine.places(RED, [left])
    assert is_large(left)
    assert large.mask[:, : large.mask.shape[1] // 2].sum() > 0.95 * large.mask.sum()
    small = np.zeros((16, 24), bool)
    small[:2, :2] = True
    assert not is_large(small)
    np.testing.assert_array_equal(fine.places(RED, [small])[0].mask, whole)
