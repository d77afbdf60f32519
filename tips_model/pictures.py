"""Safe opening of image files in training and evaluation sets: photo formats only, upright, RGB.

Pillow opens dozens of formats, and some start other programs (PostScript runs Ghostscript on the
file's content), which must not happen with data from the web.
"""

import io
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")


def open_picture(source: Path | bytes) -> Image.Image:
    """A file, or its bytes, opened but not decoded; the caller closes it.

    Raises OSError unless it is a picture in one of these formats.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    return Image.open(file, formats=FORMATS)


def upright_rgb(image: Image.Image) -> Image.Image:
    """The pixels of an opened picture as its EXIF orientation shows them, transparency on white."""
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
