"""Images to test with, and what every data set must hold to."""

import numpy as np
from PIL import Image


def noise(seed: int, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Image.Image:
    """A random image; size is (width, height) as Pillow has it."""
    width, height = size
    shape = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def check_source(dataset):
    """What holds for every data set, whatever it was read from."""
    parts = (dataset.train, dataset.val, dataset.test)
    ids = [image_id for part in parts for image_id in part.ids]
    assert len(ids) == len(set(ids)), "an image is in two parts"
    for part in parts:
        assert len(part) == len(part.ids) == len(part.labels)
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) == set(range(len(dataset.classes))), "a class is missing in a part"
        assert part.load(len(part) - 1).size[0] > 0
    text = dataset.summary()
    assert len(text.splitlines()) >= 3 and dataset.name in text
    assert len(dataset.fingerprint) == 64
