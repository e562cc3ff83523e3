"""Small files that would unfold to much memory or time are refused before they are decoded."""

import io
import re

from PIL import Image

from ridgepoint.errors import DataError

MAX_PIXELS = 50_000_000
"""The most pixels that an image may have: a file of some kilobytes can unfold to any number of them."""

_HEAVY = {"JPEG2000": 2}  # formats whose decoders take more memory for a pixel, as a factor
_MAX_SCANNED = 1_500_000_000  # pixels of all scans of a progressive JPEG together: about ten seconds
_MAX_TILE = 2**24  # pixels; a tile is held whole, however small the image
_MAX_TEXT = 8 * 2**20  # bytes of an image that is written as text, which Pillow reads in Python
_MAX_READS = 1_000_000  # pieces of a file that Pillow walks in Python, about a second

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # of JPEG: neither a stuffed byte nor a restart
_END, _SCAN = 0xD9, 0xDA
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF


class Pieces(io.BytesIO):
    """A file's bytes, which may be read so many times: chunks, blocks and comments can be a few bytes each."""

    def __init__(self, content: bytes):
        super().__init__(content)
        self._left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file.

        Raises:
            DataError: If it was read too often.
        """
        self._left -= 1
        if self._left < 0:
            raise DataError("it is made of far too many pieces, as no camera or program writes it")
        return super().read(size)


def check_size(image: Image.Image, content: bytes) -> int:
    """The number of pixels of an opened image whose decoding takes bounded memory and time.

    Args:
        image: Opened, not decoded.
        content: The file's bytes.

    Raises:
        DataError: If it would take too much of either.
    """
    pixels = image.width * image.height
    allowed = MAX_PIXELS // _HEAVY.get(image.format or "", 1)
    if pixels > allowed:
        raise DataError(too_large(f"{image.width:,} x {image.height:,} px", allowed))
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0)
        if tile > max(pixels, _MAX_TILE):
            raise DataError(f"its tiles have {tile:,} px each, more than the image")
    if image.format in ("JPEG", "MPO") and "progressive" in image.info:
        scans = _scans(content, image.fp.tell())  # type: ignore[attr-defined]
        if scans * pixels > _MAX_SCANNED:
            raise DataError(f"it has {scans:,} scans of {image.width:,} x {image.height:,} px; usual are about 10")
    if image.format == "PPM" and content[1:2] in b"123" and len(content) > _MAX_TEXT:
        raise DataError(f"it is {len(content):,} bytes of text; allowed: {_MAX_TEXT:,}. Save it in another format")
    return pixels


def too_large(given: str, allowed: int = MAX_PIXELS) -> str:
    """Why an image of too many pixels is refused."""
    return f"it has {given}; allowed: {allowed // 1_000_000} million pixels. Make it smaller"


def _scans(content: bytes, place: int) -> int:
    """How often the pixels of a JPEG are passed over, from its first scan on."""
    count = 1
    while marker := _MARKER.search(content, place):
        kind = content[marker.start() + 1]
        if kind == _END:
            break
        count += kind == _SCAN
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    return count
