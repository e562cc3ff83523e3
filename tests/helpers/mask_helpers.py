"""Images of discs with masks, made by a test: a folder of each layout that people have."""

from pathlib import Path

import numpy as np
from PIL import Image


def disc(seed: int, side: int = 32, *, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A noisy grey image with a light disc (and a lighter one inside), uint8, and its classes."""
    rng = np.random.default_rng(seed)
    row, column = np.ogrid[:side, :side]
    centre, radius = rng.uniform(0.3 * side, 0.7 * side, 2), rng.uniform(0.15, 0.3) * side
    distance = np.hypot(row - centre[0], column - centre[1])
    mask = (distance < radius).astype(np.uint8)
    if classes > 2:
        mask += distance < radius / 2
    pixels = np.clip(70 + 70 * mask + rng.normal(0, 15, mask.shape), 0, 255).astype(np.uint8)
    return pixels, mask


def write_discs(
    folder: Path, count: int = 24, *, first: int = 0, values: tuple[int, ...] = (0, 255), side: int = 32
) -> Path:
    """`images/` and `masks/` in a folder; class k has the k-th of the values."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        pixels, mask = disc(index, side, classes=min(len(values), 3))
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
        Image.fromarray(np.array(values, np.uint8)[mask]).save(folder / "masks" / f"{index}.png")
    return folder
