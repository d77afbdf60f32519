import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from tips_model.pictures import open_picture, upright_rgb
from tips_model.train.boxes import table_boxes

WIDTH, HEIGHT = 8, 4


def _picture(orientation: int) -> bytes:
    """A black picture with white at x 5 to 8 and y 1 to 2 of its file."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[1:2, 5:8] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_their_picture(orientation: int):
    image = _picture(orientation)
    boxes = table_boxes(
        np.array([[5.0, 1, 8, 2]]), [image], np.array([0]), form="xyxy", unit="pixel"
    )
    with open_picture(image) as opened:
        shown = np.asarray(upright_rgb(opened))[:, :, 0] > 0
    height, width = shown.shape
    x0, y0, x1, y1 = np.round(boxes[0] * [width, height, width, height]).astype(int)
    assert shown[y0:y1, x0:x1].all()
    assert shown.sum() == (y1 - y0) * (x1 - x0) == 3


def test_all_forms_say_the_same_box_and_each_is_of_its_own_picture():
    small = io.BytesIO()
    Image.new("RGB", (4, 2)).save(small, "PNG")
    images, owner = [_picture(1), small.getvalue()], np.array([1, 0])
    expected = [[0.25, 0.5, 0.75, 1], [0.125, 0.25, 0.375, 0.5]]
    pixels = np.array([[1.0, 1, 3, 2], [1, 1, 3, 2]])
    sizes = np.array([[1.0, 1, 2, 1], [1, 1, 2, 1]])
    fractions = np.array([[0.25, 0.5, 0.5, 0.5], [0.125, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(table_boxes(pixels, images, owner, unit="pixel"), expected)
    np.testing.assert_allclose(
        table_boxes(sizes, images, owner, form="xywh", unit="pixel"), expected
    )
    np.testing.assert_allclose(table_boxes(fractions, images, owner, form="xywh"), expected)


def test_what_lies_outside_is_cut_off():
    boxes = np.array([[-0.5, 0.5, 0.25, 1.5], [1.25, 0, 1.5, 1]])
    placed = table_boxes(boxes, [_picture(1)], np.array([0, 0]))
    np.testing.assert_allclose(placed, [[0, 0.5, 0.25, 1], [1, 0, 1, 1]])
