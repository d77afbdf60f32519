"""The size of a JPEG XL picture without decoding it: the plugin decodes a file to open it."""

from __future__ import annotations

from typing import BinaryIO

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_HEADER = 16  # bytes; the size takes at most 9 of a codestream
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTHS = (9, 13, 18, 30)
_MOST_BOXES = 1000


def jxl_size(stream: BinaryIO) -> tuple[int, int]:
    """Width and height that a file states (ISO/IEC 18181-1, SizeHeader), before it is turned.

    Raises `ValueError` where it states none.
    """
    bits = _Bits(_codestream(stream))
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return _side(bits, small), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


def _codestream(stream: BinaryIO) -> bytes:
    """The first bytes of the codestream, behind its signature."""
    stream.seek(0)
    head = stream.read(_HEADER)
    if head.startswith(CODESTREAM):
        return head[2:]
    stream.seek(0)
    for _ in range(_MOST_BOXES):
        start = stream.tell()
        box = stream.read(_HEADER)
        length, kind = int.from_bytes(box[:4]), box[4:8]
        header = 16 if length == 1 else 8
        length = int.from_bytes(box[8:16]) if length == 1 else length
        if kind in (b"jxlc", b"jxlp"):
            stream.seek(start + header + (4 if kind == b"jxlp" else 0))
            if stream.read(2) == CODESTREAM:
                return stream.read(_HEADER)
        if length < header:  # 0: to the end of the file
            break
        stream.seek(start + length)
    raise ValueError("a JPEG XL file without a picture")


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_LENGTHS[bits.take(2)]) + 1


class _Bits:
    """Bits of bytes, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a JPEG XL file that ends in its header")
        found = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return found
