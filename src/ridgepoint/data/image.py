"""Opening one image file: every common mode becomes upright 8-bit RGB or grey, every bad file a DataError."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageOps

from ridgepoint.errors import DataError

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga"}
    | {".tif", ".tiff", ".webp"}
)
"""File name endings that count as images, lower case."""

MIN_SIDE = 4
"""An image with a side below this many pixels holds nothing to learn from and counts as bad."""

_ORIENTATION = 0x0112  # the EXIF tag; 5..8 swap height and width


def read_image(path: str | Path) -> Image.Image:
    """The decoded image of a file, in the mode it is stored in; the file is closed again.

    Raises:
        DataError: If the file is missing, no image, truncated or larger than Pillow's safety limit.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        raise DataError(f"cannot read image '{path}': {reason_of(error)}") from error


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """An upright 8-bit image of mode L (1 channel) or RGB (3 channels).

    EXIF orientation is applied; transparency is laid on white; 16-bit values are divided by 257; float images are
    taken as 0..1 when nothing in them exceeds 1, else as 0..255.

    Raises:
        DataError: If the pixels cannot be decoded or converted.
    """
    name = getattr(image, "filename", "") or "the given image"
    try:
        image.load()
        image = _to_8_bit(_upright(image))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode == "P" or (channels == 1 and image.mode == "CMYK"):
            image = image.convert("RGB")
        return image.convert("RGB" if channels == 3 else "L")
    except Exception as error:
        raise DataError(f"cannot read image '{name}': {reason_of(error)}") from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) in pixels once the EXIF orientation is applied; decodes nothing."""
    width, height = image.size
    try:
        turned = image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
    except Exception:  # a damaged EXIF block does not make the pixels unusable
        turned = False
    return (width, height) if turned else (height, width)


def is_grey(image: Image.Image) -> bool:
    """Whether the image is single-channel, or has three equal channels."""
    if image.mode in ("1", "L"):
        return True
    red, green, blue = to_mode(image, 3).split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(green, blue).getbbox() is None


def reason_of(error: Exception) -> str:
    """One line on why an image could not be read, without the path that the caller already names."""
    if isinstance(error, DataError) and isinstance(error.__cause__, Exception):
        return reason_of(error.__cause__)
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "permission denied"
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image in a known format, or its header is damaged"
    return " ".join(str(error).split()) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block does not make the pixels unusable
        return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Modes I, I;16* and F as mode L; other modes unchanged."""
    if image.mode == "F":
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("its pixels are not all finite")
        values = values * 255 if values.max() <= 1 else values
    elif image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64) / 257
    else:
        return image
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
