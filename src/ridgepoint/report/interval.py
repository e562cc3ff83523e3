"""How well a share is known from the images that it was seen on."""

import math

_Z95 = 1.959964


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share seen on `count` images.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212.
    """
    spread = _Z95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
