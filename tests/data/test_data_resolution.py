from dataclasses import replace

import pytest

from ridgepoint.data import choose_input, detect
from ridgepoint.errors import DataError


@pytest.mark.parametrize(
    ("short", "size", "resize"),
    [
        (5, 16, 16),
        (8, 16, 16),
        (12, 16, 16),
        (28, 28, 28),
        (30, 32, 32),
        (32, 32, 32),
        (64, 64, 64),
        (65, 96, 110),
        (100, 96, 110),
        (160, 160, 183),
        (200, 192, 219),
        (480, 224, 256),
    ],
)
def test_size_follows_the_shorter_side(short, size, resize):
    dataset = replace(detect("digits"), median_size=(short + 50, short))
    preprocessing, reason = choose_input(dataset)
    assert (preprocessing.height, preprocessing.width, preprocessing.resize) == (size, size, resize)
    assert f"{size} x {size}" in reason and f"{short} px" in reason


def test_channels_and_normalisation():
    digits = detect("digits")
    grey, reason = choose_input(digits)
    assert grey.channels == 1 and grey.mean == (0.5,) and "grey" in reason
    colour, _ = choose_input(replace(digits, grey=False))
    assert colour.channels == 3 and colour.mean == (0.485, 0.456, 0.406)


def test_the_user_may_choose():
    dataset = replace(detect("digits"), median_size=(160, 160))
    preprocessing, reason = choose_input(dataset, size=112)
    assert (preprocessing.height, preprocessing.resize) == (112, 128) and "asked" in reason
    assert choose_input(detect("digits"), size=32)[0].resize == 32
    for size in (0, 7, 5000):
        with pytest.raises(DataError, match=f"input size is {size}; allowed: 8 to 1024"):
            choose_input(dataset, size=size)
