"""What the pixels of a mask say: values as they are stored, whatever the mode of the file."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from ridgepoint.data.image import is_deep
from ridgepoint.errors import DataError

LARGEST = 65_535
"""The largest value that is read."""


def mask_values(image: Image.Image) -> np.ndarray:
    """The value of every pixel of a decoded mask, uint16 (H, W): of a palette, the place in it, never the colour.

    Raises:
        DataError: If its pixels are no whole numbers from 0 to 65,535, or colours.
    """
    if image.mode in ("1", "L", "P"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("LA", "PA"):
        return np.asarray(image.getchannel(0)).astype(np.uint16)
    if is_deep(image):
        values = np.asarray(image)
        if not np.isfinite(values).all() or (values != np.rint(values)).any():
            raise DataError("its values are no whole numbers")
        if values.min() < 0 or values.max() > LARGEST:
            raise DataError(f"its values reach from {values.min()} to {values.max()}; allowed: 0 to {LARGEST}")
        return values.astype(np.uint16)
    if image.mode not in ("RGB", "RGBA"):
        raise DataError(f"its mode is {image.mode}; allowed: grey, palette or 16-bit")
    channels = np.asarray(image)[..., :3]
    if (channels != channels[..., :1]).any():
        raise DataError("it holds colours, not numbers of classes: save it with a palette or in grey, a value a class")
    return channels[..., 0].astype(np.uint16)


def counts_of(values_HW: np.ndarray) -> dict[int, int]:
    """How many pixels have each value that there is."""
    counts = np.bincount(values_HW.reshape(-1))
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def colours_of(image: Image.Image, values: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """The colours that the palette of a decoded mask gives to values, RGB; nothing of one without a palette."""
    if image.mode not in ("P", "PA") or image.palette is None:
        return {}
    palette = image.getpalette("RGB") or []
    return {value: tuple(palette[3 * value : 3 * value + 3]) for value in values if 3 * value + 3 <= len(palette)}
