"""From any mode that an image is stored in to upright 8-bit RGB or grey, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageOps

from ridgepoint.data.opening import bad_image

MIN_SIDE = 4
"""An image with a side below this many pixels holds nothing to learn from and counts as bad."""

_ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 5..8 swap height and width
_BAND = 2**20  # values converted at once


def to_mode(image: Image.Image, channels: int, *, white: float | None = None) -> Image.Image:
    """An upright 8-bit image of mode L (1 channel) or RGB (3 channels).

    EXIF orientation is applied; transparency is laid on white.

    Args:
        image: Of any mode.
        channels: 1 or 3.
        white: The value that becomes 255 where values are no bytes (modes I;16, I and F), and what lies above it; 0 and
            what lies below become 0. None: 65,535 for whole numbers; for float 1 when nothing exceeds 1, else 255.

    Raises:
        ImageError: If the pixels cannot be decoded or converted.
    """
    name = getattr(image, "filename", "") or "the given image"
    try:
        image.load()
        image = _upright(image)
        if is_deep(image):
            image = _to_8_bit(image, white)
        if image.has_transparency_data:
            image = _on_white(_in_mode(image, "RGBA"))
        if image.mode == "P" or (channels == 1 and image.mode == "CMYK"):
            image = _in_mode(image, "RGB")
        return _in_mode(image, "RGB" if channels == 3 else "L")
    except Exception as error:
        raise bad_image(name, error) from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) in pixels once the EXIF orientation is applied; decodes nothing."""
    width, height = image.size
    return (width, height) if _orientation(image) in (5, 6, 7, 8) else (height, width)


def is_grey(image: Image.Image) -> bool:
    """Whether the image is single-channel, or has three equal channels."""
    if image.mode in ("1", "L"):
        return True
    red, green, blue = to_mode(image, 3).split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(green, blue).getbbox() is None


def is_deep(image: Image.Image) -> bool:
    """Whether its values are no bytes: 16 or 32-bit whole numbers, or float."""
    return image.mode == "F" or image.mode.startswith("I")


def value_range(image: Image.Image) -> tuple[float, float]:
    """The smallest and the largest value of a deep image.

    Raises:
        ValueError: If a value is not finite.
    """
    low, high = np.inf, -np.inf
    for _, values in _bands(image):
        low, high = np.minimum(low, values.min()), np.maximum(high, values.max())  # both keep a NaN
    if not np.isfinite((low, high)).all():
        raise ValueError("its pixels are not all finite")
    return float(low), float(high)


def _to_8_bit(image: Image.Image, white: float | None) -> Image.Image:
    """A deep image as mode L."""
    if image.mode == "F":
        highest = value_range(image)[1]
        white = white or (1.0 if highest <= 1 else 255.0)
    scale = np.float32(255 / (white or 65_535.0))
    bytes_HW = np.empty((image.height, image.width), np.uint8)
    for rows, values in _bands(image):
        values *= scale
        bytes_HW[rows] = np.clip(np.rint(values, out=values), 0, 255, out=values)
    return Image.fromarray(bytes_HW)


def _bands(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of a deep image and their values, float32 (rows, W), a band at a time."""
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        rows = slice(top, min(image.height, top + step))
        yield rows, np.array(image.crop((0, rows.start, image.width, rows.stop)), np.float32)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Without a copy where it is in that mode already."""
    return image if image.mode == mode else image.convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    """RGB of an RGBA image."""
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _orientation(image: Image.Image) -> int:
    try:
        orientation: int = image.getexif().get(_ORIENTATION, 1)
        return orientation
    except Exception:  # a damaged EXIF block does not make the pixels unusable
        return 1


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image
