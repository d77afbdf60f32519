"""Write the pictures that the tests of reading use: `python tests/photos/make.py FOLDER`.

Most show the same scene at 48 x 32: left half red, right half blue, a green strip (8 rows) at the
top, so that
a test can tell which way is up and whether colours came through.
"""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

WIDTH, HEIGHT, STRIP = 48, 32, 8
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def scene(scale: int = 1) -> Image.Image:
    """The scene, RGB."""
    pixels = np.zeros((HEIGHT * scale, WIDTH * scale, 3), np.uint8)
    pixels[:, : WIDTH * scale // 2] = RED
    pixels[:, WIDTH * scale // 2 :] = BLUE
    pixels[: STRIP * scale] = GREEN
    return Image.fromarray(pixels)


def exif(orientation: int = 1) -> Image.Exif:
    """EXIF of a camera that knew everything."""
    tags = Image.Exif()
    tags[Base.Make] = "NIKON CORPORATION"
    tags[Base.Model] = "NIKON D90"
    tags[Base.Orientation] = orientation
    photo = tags.get_ifd(IFD.Exif)
    photo[Base.DateTimeOriginal] = "2021:05:17 18:03:09"
    photo[Base.SubsecTimeOriginal] = "25"
    photo[Base.OffsetTimeOriginal] = "+02:00"
    photo[Base.LensModel] = "18.0-105.0 mm f/3.5-5.6"
    photo[Base.ISOSpeedRatings] = 400
    photo[Base.FNumber] = IFDRational(28, 10)
    photo[Base.ExposureTime] = IFDRational(1, 250)
    photo[Base.FocalLength] = IFDRational(50, 1)
    place = tags.get_ifd(IFD.GPSInfo)
    place[GPS.GPSLatitudeRef] = "S"
    place[GPS.GPSLatitude] = (IFDRational(33), IFDRational(51), IFDRational(3540, 100))
    place[GPS.GPSLongitudeRef] = "E"
    place[GPS.GPSLongitude] = (IFDRational(151), IFDRational(12), IFDRational(40))
    return tags


# What was done to the upright scene before EXIF orientation n undoes it.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def rotated_jpeg(orientation: int) -> bytes:
    """A JPEG whose pixels lie as a turned camera stores them, with its EXIF orientation."""
    image = scene(4)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return encode(image, "JPEG", exif=exif(orientation), quality=95)


def rotated_tiff(orientation: int) -> bytes:
    """A TIFF whose pixels lie as a turned camera stores them, with its orientation."""
    image = scene()
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return encode(image, "TIFF", compression="tiff_lzw", exif=exif(orientation))


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    """The bytes of an image file."""
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def sixteen_bit_png() -> bytes:
    """Grey, 16 bits: a ramp from 0 to 65535 from left to right."""
    ramp = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    return encode(Image.fromarray(np.tile(ramp, (HEIGHT, 1))), "PNG")


def bomb_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A tiny PNG that says it has 900 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def heic() -> bytes:
    """HEIC with orientation 6 in its EXIF, as phones write it."""
    out = BytesIO()
    image = scene(4).transpose(_TURNS[6])
    pillow_heif.from_pillow(image).save(out, quality=90, exif=exif(6).tobytes())
    return out.getvalue()


def transparent() -> Image.Image:
    """The scene, RGBA, its lower half transparent."""
    image = scene().convert("RGBA")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[HEIGHT // 2 :] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


def transparent_palette() -> bytes:
    """A palette PNG with one transparent colour (the blue half)."""
    image = scene().quantize(4)
    blue = image.getpixel((WIDTH - 1, HEIGHT - 1))
    return encode(image, "PNG", transparency=blue)


def animated_gif() -> bytes:
    """The scene, then black."""
    black = Image.new("RGB", (WIDTH, HEIGHT))
    return encode(scene(), "GIF", save_all=True, append_images=[black], duration=50)


def truncated_jpeg() -> bytes:
    """The first half of a JPEG."""
    data = encode(scene(8), "JPEG")
    return data[: len(data) // 2]


def postscript() -> bytes:
    """A PostScript file that Pillow would run Ghostscript for."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"


def jxl(orientation: int = 1, **options: object) -> bytes:
    """A JPEG XL picture with EXIF."""
    import pillow_jxl  # noqa: F401

    return encode(scene(4), "JXL", exif=exif(orientation).tobytes(), **options)


def photoshop() -> bytes:
    """A Photoshop document: the composite alone, uncompressed, with the EXIF of a camera."""
    planes = np.moveaxis(np.asarray(scene()), -1, 0).tobytes()
    block = exif().tobytes().removeprefix(b"Exif\0\0")
    resource = b"8BIM" + struct.pack(">HHI", 1058, 0, len(block)) + block + b"\0" * (len(block) % 2)
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HEIGHT, WIDTH, 8, 3)
    parts = struct.pack(">I", 0) + struct.pack(">I", len(resource)) + resource
    return header + parts + struct.pack(">I", 0) + struct.pack(">H", 0) + planes


def wide_tiff(values: np.ndarray, **options: object) -> bytes:
    """A TIFF as Pillow does not write, and mostly does not read, it."""
    import tifffile

    out = BytesIO()
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


def floats() -> np.ndarray:
    """The scene as floats of 0..1."""
    return np.asarray(scene(), np.float32) / 255


def dng(orientation: int = 6, xmp: bytes = b"", preview: bytes = b"") -> bytes:
    """The least camera raw file that LibRaw takes: a JPEG preview, 64 x 48 Bayer samples."""
    stored = scene(4).transpose(_TURNS[orientation]) if orientation > 1 else scene(4)
    preview = preview or encode(stored, "JPEG", quality=95)
    width, height = 64, 48
    samples = np.full((height, width), 1000, "<u2").tobytes()

    def ifd(tags: list[tuple[int, int, list[int] | bytes]], start: int) -> bytes:
        sizes = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 10: "ii"}
        body, extra = b"", b""
        base = start + 2 + 12 * len(tags) + 4
        for tag, kind, values in sorted(tags):
            if isinstance(values, bytes):
                data, count = values, len(values)
            else:
                data = b"".join(struct.pack("<" + sizes[kind][0], v) for v in values)
                count = len(values) // len(sizes[kind])
            if len(data) <= 4:
                field = data.ljust(4, b"\0")
            else:
                field = struct.pack("<I", base + len(extra))
                extra += data + b"\0" * (len(data) % 2)
            body += struct.pack("<HHI", tag, kind, count) + field
        return struct.pack("<H", len(tags)) + body + struct.pack("<I", 0) + extra

    preview_at = 8
    samples_at = preview_at + len(preview) + len(preview) % 2
    raw_at = samples_at + len(samples)
    raw_ifd = ifd(
        [
            (254, 4, [0]),
            (256, 4, [width]),
            (257, 4, [height]),
            (258, 3, [16]),
            (259, 3, [1]),
            (262, 3, [32803]),
            (273, 4, [samples_at]),
            (277, 3, [1]),
            (278, 4, [height]),
            (279, 4, [len(samples)]),
            (33421, 3, [2, 2]),
            (33422, 1, bytes([0, 1, 1, 2])),
            (50717, 4, [65535]),
        ],
        raw_at,
    )
    main_at = raw_at + len(raw_ifd)
    main = ifd(
        [
            (254, 4, [1]),
            (256, 4, [stored.width]),
            (257, 4, [stored.height]),
            (258, 3, [8, 8, 8]),
            (259, 3, [7]),
            (262, 3, [6]),
            (271, 2, b"Acme\0"),
            (272, 2, b"Raw One\0"),
            (273, 4, [preview_at]),
            (274, 3, [orientation]),
            (277, 3, [3]),
            (278, 4, [stored.height]),
            (279, 4, [len(preview)]),
            (306, 2, b"2022:01:02 03:04:05\0"),
            (330, 4, [raw_at]),
            *([(700, 1, xmp)] if xmp else []),
            (50706, 1, bytes([1, 4, 0, 0])),
            (50708, 2, b"Acme Raw One\0"),
            (50721, 10, [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]),
            (50778, 3, [21]),
        ],
        main_at,
    )
    data = b"II*\0" + struct.pack("<I", main_at) + preview + b"\0" * (len(preview) % 2)
    return data + samples + raw_ifd + main


def pictures() -> dict[str, bytes]:
    """Name -> bytes of every file; those under `broken/` cannot be read."""
    return {
        "plain.jpg": encode(scene(4), "JPEG", quality=95, exif=exif()),
        "rotated.jpg": rotated_jpeg(6),
        "cmyk.jpg": encode(scene(4).convert("CMYK"), "JPEG", quality=95),
        "grey.jpg": encode(scene(4).convert("L"), "JPEG", quality=95),
        "rgba.png": encode(transparent(), "PNG"),
        "sixteen.png": sixteen_bit_png(),
        "palette.png": encode(scene().quantize(4), "PNG"),
        "palette-transparent.png": transparent_palette(),
        "bilevel.png": encode(scene().convert("1"), "PNG"),
        "animated.gif": animated_gif(),
        "photo.heic": heic(),
        "photo.avif": encode(scene(4), "AVIF", quality=90),
        "photo.bmp": encode(scene(), "BMP"),
        "photo.tif": encode(scene(), "TIFF", compression="tiff_lzw"),
        "rotated.tif": rotated_tiff(6),
        "upside-down.tif": rotated_tiff(3),
        "photo.webp": encode(scene(), "WEBP", lossless=True),
        "camera.dng": dng(),
        "photo.jxl": jxl(),
        "photo.jp2": encode(scene(4), "JPEG2000"),
        "photo.psd": photoshop(),
        "float.tif": wide_tiff(floats(), photometric="rgb", compression="lzw", predictor=3),
        "wide.tif": wide_tiff(
            (floats() * (2**32 - 1)).astype(np.uint32), photometric="rgb", planarconfig="contig"
        ),
        "really-a-jpeg.png": encode(scene(4), "JPEG", quality=96),
        "broken/truncated.jpg": truncated_jpeg(),
        "broken/empty.jpg": b"",
        "broken/text.jpg": b"This is no picture.\n" * 20,
        "broken/postscript.jpg": postscript(),
        "broken/bomb.png": bomb_png(),
    }


def write(folder: Path) -> list[Path]:
    """Write all pictures below a folder."""
    paths = []
    for name, data in pictures().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write(Path(sys.argv[1])):
        print(written)
