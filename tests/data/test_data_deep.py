"""Images whose values are no bytes: which value is white, and what is said of it."""

import numpy as np
import pytest
from PIL import Image

from ridgepoint.data import choose_input, decode, detect

LABELS = ("a", "b")


@pytest.fixture
def photos(tmp_path):
    """Writes class folders of one array each, shifted by its number: ``photos(values, ".png")``."""

    def make(values: np.ndarray, suffix: str = ".tif"):
        for number, name in enumerate(LABELS):
            (tmp_path / name).mkdir()
            for index in range(4):
                shifted = np.roll(values, 4 * number + index, axis=1)
                Image.fromarray(shifted).save(tmp_path / name / f"{index}{suffix}")
        return tmp_path

    return make


def ramp(high: float, dtype: str, low: float = 0.0) -> np.ndarray:
    return np.linspace(low, high, 32 * 32).reshape(32, 32).astype(dtype)


def brightest(dataset) -> int:
    return int(decode(dataset.train, choose_input(dataset, size=32)[0], train=False).images.max())


@pytest.mark.parametrize(
    ("values", "suffix", "white", "note"),
    [
        (ramp(4000, "uint16"), ".png", 4095, "whole numbers from 0 to 4,000: 4,095 is taken as white"),
        (ramp(1000, "uint16"), ".tif", 1023, "1,023 is taken as white"),
        (ramp(250, "uint16"), ".png", 255, "255 is taken as white"),
        (ramp(65535, "uint16"), ".png", 65535, ""),
        (ramp(40000, "uint16"), ".tif", 65535, ""),
        (ramp(1_000_000, "int32"), ".tif", 2**24 - 1, "16,777,215 is taken as white"),
        (ramp(4000, "int32", -100), ".tif", 4095, "below 0 is taken as black"),
        (ramp(1.0, "float32"), ".tif", 1.0, ""),
        (ramp(0.2, "float32"), ".tif", 1.0, ""),
        (ramp(200, "float32"), ".tif", 255.0, ""),
        (ramp(3000, "float32"), ".tif", 4095, "float values from 0 to 3,000: 4,095 is taken as white"),
    ],
)
def test_the_range_decides_what_is_white(photos, values, suffix, white, note):
    dataset = detect(photos(values, suffix))
    assert dataset.white == white and dataset.grey
    assert [note in each for each in dataset.notes].count(True) == bool(note) * len(dataset.notes[-1:])
    assert note or dataset.notes == ()
    assert brightest(dataset) == pytest.approx(255 * float(values.max()) / white, abs=2)
    preprocessing = choose_input(dataset)[0]
    assert preprocessing.white == white and type(preprocessing).from_json(preprocessing.to_json()) == preprocessing


def test_a_dark_float_image_is_as_dark_as_beside_bright_ones(tmp_path):
    for name in LABELS:
        (tmp_path / name).mkdir()
        for index, high in enumerate((1.0, 100.0, 200.0, 250.0)):
            Image.fromarray(ramp(high + (name == "a"), "float32")).save(tmp_path / name / f"{index}.tif")
    dataset = detect(tmp_path)
    preprocessing = choose_input(dataset, size=32)[0]
    assert preprocessing.white == 255
    assert np.asarray(preprocessing.open(tmp_path / "b" / "0.tif")).max() == 1


def test_whole_numbers_beside_floats_are_told(tmp_path):
    for name in LABELS:
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.fromarray(ramp(4000 + index, "uint16")).save(tmp_path / name / f"{index}.png")
            Image.fromarray(ramp(0.9 + index / 100, "float32")).save(tmp_path / name / f"{index}.tif")
    dataset = detect(tmp_path)
    assert dataset.white is None and "are mixed" in dataset.notes[1]


def test_twelve_bits_in_sixteen_bit_colour_are_told(tmp_path):
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for number, name in enumerate(LABELS):
        (tmp_path / name).mkdir()
        for index in range(3):
            pixels = np.random.default_rng(10 * number + index).integers(0, 4096, (16, 48)).astype(">u2")
            rows = b"".join(b"\0" + row.tobytes() for row in pixels)
            header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
            png = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
            (tmp_path / name / f"{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    (note,) = detect(tmp_path).notes
    assert "6 images hold 16-bit colours" in note and "leaves 16 levels a colour" in note


def test_values_that_are_no_numbers_are_bad_files(photos, tmp_path):
    root = photos(ramp(0.9, "float32"))
    for index in range(90):
        Image.fromarray(ramp(0.5 + index / 1000, "float32")).save(root / "a" / f"more{index}.tif")
    odd = ramp(0.9, "float32")
    odd[-1, -1] = np.nan
    Image.fromarray(odd).save(root / "a" / "odd.tif")
    assert detect(root).skipped == ("a/odd.tif: its pixels are not all finite",)
