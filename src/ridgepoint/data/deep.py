"""Images whose values are no bytes: the range that they use, and which value is white."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from ridgepoint.data.image import is_deep, value_range

_KINDS = {"whole": "whole numbers", "float": "float values", "colour": "16-bit colours"}
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits that cameras and scanners have


@dataclass(frozen=True)
class DeepValues:
    """The range of an image's values.

    Attributes:
        kind: ``whole`` numbers, ``float``, or ``colour`` of 16 bits, of which Pillow gives the upper 8.
        low: The smallest value.
        high: The largest value.
    """

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, image: Image.Image, *, deep_colour: bool) -> Self | None:
        """The range of a decoded image; None if its values are bytes."""
        if is_deep(image):
            return cls("float" if image.mode == "F" else "whole", *value_range(image))
        if deep_colour:
            return cls("colour", 0, int(np.max(image.getextrema())) * 257)
        return None


def stored_deep(image: Image.Image) -> bool:
    """Whether the values of an image that is not decoded yet are stored with 16 bits, whatever they are decoded to."""
    return ";16" in str(getattr(image, "tile", ""))


def judged(values: Mapping[str, DeepValues]) -> tuple[float | None, tuple[str, ...]]:
    """The value that is white in all of these images, None for the usual one, and sentences on what was found.

    16-bit files often hold 10, 12 or 14 bits: taken for 16, such photographs would be nearly black.

    Args:
        values: By path.
    """
    whites, told = {}, []
    for kind in sorted({each.kind for each in values.values()}):
        ranges = [each for each in values.values() if each.kind == kind]
        low, high = min(each.low for each in ranges), max(each.high for each in ranges)
        found = f"{len(ranges):,} images hold {_KINDS[kind]} from {low:,.6g} to {high:,.6g}"
        if kind == "colour":
            if high <= 2**14:
                levels = int(high) // 257 + 1
                told.append(
                    f"{found} at most, of 65,535: only the upper 8 of 16 bits are read, which leaves {levels} levels a "
                    f"colour. Save them with 8 bits, or with values that use all 16."
                )
            continue
        whites[kind], usual = _white(kind, high)
        if not usual:
            told.append(f"{found}: {whites[kind]:,.0f} is taken as white.")
        if low < 0:
            told.append(f"{found}: what is below 0 is taken as black. Shift the values if that is not meant.")
    if len(whites) > 1:
        told.append(
            "whole numbers and float images are mixed: 65,535 and 1 or 255 are taken as white. Save them alike."
        )
        return None, tuple(told)
    return next(iter(whites.values()), None), tuple(told)


def _white(kind: str, high: float) -> tuple[float, bool]:
    """The value that is white where the highest is this one, and whether that is what one would expect."""
    if kind == "float" and high <= 255:
        return (1.0 if high <= 1 else 255.0), True
    bits = next((bits for bits in _DEPTHS if high < 2**bits), _DEPTHS[-1])
    return 2.0**bits - 1, kind == "whole" and bits == 16
