"""Picture files of training and evaluation sets: photos' formats only, upright, in RGB.

Pillow opens dozens of formats, and some start other programs (PostScript runs Ghostscript on what
the file says), which sets from the web must not.
"""

import io
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")


def open_picture(source: Path | bytes) -> Image.Image:
    """A file, or its bytes, opened but not decoded; to be closed by the caller.

    Raises OSError for what is no picture of these formats.
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
