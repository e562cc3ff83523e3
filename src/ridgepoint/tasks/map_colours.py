"""Maps of classes as people see them: laid over their image, each class in a colour of its own."""

import colorsys

import numpy as np
from PIL import Image

from ridgepoint.data.masks.classes import IGNORED

Colour = tuple[int, int, int]

STRENGTH = 0.55
"""How much of a pixel is the colour of its class."""

_FIRST: tuple[Colour, ...] = (
    *((230, 85, 13), (31, 119, 180), (44, 160, 44), (214, 39, 140), (148, 103, 189), (190, 160, 20)),
    *((23, 190, 207), (140, 86, 75), (127, 201, 30), (110, 110, 110)),
)
_BACKGROUNDS = {"background", "bg", "void", "unlabeled", "unlabelled", "other", "none"}
_GOLDEN = 0.618034  # of a turn: hues one after the other are far apart


def colours_of(labels: tuple[str, ...]) -> tuple[Colour | None, ...]:
    """A colour a class; none for a background, which is left as it is."""
    found: list[Colour | None] = []
    for label in labels:
        if not found and label.casefold() in _BACKGROUNDS:
            found.append(None)
            continue
        place = sum(colour is not None for colour in found)
        if place < len(_FIRST):
            found.append(_FIRST[place])
            continue
        red, green, blue = colorsys.hsv_to_rgb(place * _GOLDEN % 1, 0.65, 0.85)
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(found)


def overlay(pixels_HW3: np.ndarray, map_HW: np.ndarray, labels: tuple[str, ...]) -> Image.Image:
    """An image with its classes laid over it.

    Args:
        pixels_HW3: uint8.
        map_HW: A class a pixel, of the same height and width; what counts for nothing becomes white.
        labels: A name a class.
    """
    table = np.zeros((256, 3), np.float32)
    strength = np.zeros((256, 1), np.float32)
    for place, colour in enumerate(colours_of(labels)):
        if colour is not None:
            table[place], strength[place] = colour, STRENGTH
    table[IGNORED], strength[IGNORED] = 255, STRENGTH
    share = strength[map_HW]
    mixed = pixels_HW3 * (1 - share) + table[map_HW] * share
    return Image.fromarray(mixed.round().astype(np.uint8))
