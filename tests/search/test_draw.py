import numpy as np
import pytest
from PIL import Image

from search.draw import PALETTE, draw_boxes, draw_heat, draw_hit, draw_masks, heat_colours
from search.hits import Hit, RegionHit


def make_photo(size: tuple[int, int] = (300, 200)) -> Image.Image:
    return Image.new("RGB", size, (90, 140, 90))


def make_mask() -> np.ndarray:
    mask = np.zeros((8, 12), bool)
    mask[2:6, 6:10] = True
    return mask


def make_hit() -> Hit:
    region = RegionHit((0.5, 0.25, 10 / 12, 0.75), 1.5, make_mask())
    return Hit("0" * 32, "a.jpg", ("a.jpg",), 1.5, True, 300, 200, (region,))


def changed(photo: Image.Image, drawn: Image.Image) -> np.ndarray:
    return (np.asarray(photo) != np.asarray(drawn)).any(axis=2)


def test_a_box_is_drawn_at_its_edges_and_nowhere_inside() -> None:
    photo = make_photo()
    drawn = draw_boxes(photo, [(0.5, 0.25, 0.9, 0.75)], [""])
    touched = changed(photo, drawn)
    assert touched[100, 150:154].any()
    assert touched[50:54, 200].any()
    assert not touched[60:140, 160:260].any()
    assert not touched[:48].any()
    assert PALETTE[0] in {pixel for _, pixel in drawn.getcolors(100_000)}  # type: ignore[union-attr]


def test_tags_stay_in_the_picture_and_off_each_other() -> None:
    photo = make_photo()
    full = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.9, 0.9)]
    first = changed(draw_boxes(photo, full, ["", ""]), draw_boxes(photo, full, ["one", ""]))
    second = changed(draw_boxes(photo, full, ["one", ""]), draw_boxes(photo, full, ["one", "two"]))
    assert first.any()
    assert second.any()
    assert not (first & second).any()


def test_masks_tint_their_cells_only() -> None:
    photo = make_photo()
    touched = changed(photo, draw_masks(photo, [make_mask()]))
    assert touched[80:120, 180:220].all()
    assert not touched[:, :120].any()
    assert not touched[170:].any()


def test_heat_keeps_hot_places_in_colour_and_dims_cold_ones() -> None:
    photo = Image.new("RGB", (300, 200), (40, 40, 200))
    heat = np.zeros((4, 6), np.float32)
    heat[:, 4:] = 1
    drawn = np.asarray(draw_heat(photo, heat)).astype(int)
    cold, hot = drawn[100, 30], drawn[100, 280]
    assert np.ptp(cold) < 60
    assert cold.max() < 120
    assert hot[0] > 120
    assert hot[:2].sum() > cold[:2].sum()


def test_the_heat_scale_grows_brighter_all_the_way() -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    brightness = heat_colours(np.linspace(0, 1, 50, dtype=np.float32)) @ weights
    assert (np.diff(brightness) > 0).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (3000, 40), (640, 480)])
def test_pictures_of_any_size_are_drawn_on_and_left_as_they_were(size: tuple[int, int]) -> None:
    photo = make_photo(size)
    heat = np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 12)
    drawn = draw_hit(photo, make_hit(), label="a red cup", masks=True, heat=heat)
    assert drawn.size == size
    assert changed(photo, drawn).any()
    assert photo.getcolors() == [(size[0] * size[1], (90, 140, 90))]
