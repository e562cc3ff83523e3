import io

import numpy as np
import pytest
import torch
from data_helpers import noise
from PIL import Image
from torchvision.transforms import v2

from ridgepoint.data import Preprocessing
from ridgepoint.errors import DataError


def rgb(size=8, resize=None, **changes):
    fields = dict(
        height=size, width=size, channels=3, resize=resize or size, mean=(0.485, 0.456, 0.406), std=(0.2, 0.3, 0.4)
    )
    return Preprocessing(**(fields | changes))


def grey(size=8, **changes):
    return rgb(size, **(dict(channels=1, mean=(0.5,), std=(0.5,)) | changes))


def one_pixel_of(preprocessing, image):
    pixels = preprocessing.crop(preprocessing.open(image))
    assert np.ptp(pixels, axis=(1, 2)).max() <= 2
    return pixels[:, 0, 0].tolist()


def test_modes_become_rgb_and_grey(tmp_path):
    solid = {
        "RGB": (Image.new("RGB", (8, 8), (10, 200, 30)), [10, 200, 30]),
        "L": (Image.new("L", (8, 8), 77), [77] * 3),
        "1": (Image.new("1", (8, 8), 1), [255] * 3),
        "P": (Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4), [10, 200, 30]),
        # Half-transparent black on white is mid grey; fully transparent red is white.
        "RGBA half": (Image.new("RGBA", (8, 8), (0, 0, 0, 128)), [127] * 3),
        "RGBA clear": (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), [255] * 3),
        "LA": (Image.new("LA", (8, 8), (0, 0)), [255] * 3),
        "I;16": (Image.fromarray(np.full((8, 8), 200 * 257, np.uint16)), [200] * 3),
        "I": (Image.fromarray(np.full((8, 8), 50 * 257, np.int32)), [50] * 3),
        "CMYK": (Image.new("CMYK", (8, 8), (0, 0, 0, 255)), [0] * 3),
        "F unit": (Image.fromarray(np.full((8, 8), 0.2, np.float32)), [51] * 3),
        "F bytes": (Image.fromarray(np.full((8, 8), 51.0, np.float32)), [51] * 3),
    }
    for name, (image, expected) in solid.items():
        assert one_pixel_of(rgb(), image) == expected, name
        luma = round(0.299 * expected[0] + 0.587 * expected[1] + 0.114 * expected[2])
        assert one_pixel_of(grey(), image) == [luma], name


def test_sixteen_bit_and_transparent_palette_files(tmp_path):
    Image.fromarray(np.full((8, 8), 65535, np.uint16)).save(tmp_path / "deep.png")
    assert one_pixel_of(rgb(), tmp_path / "deep.png") == [255, 255, 255]
    Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(tmp_path / "deep.tif")
    assert one_pixel_of(grey(), str(tmp_path / "deep.tif")) == [4]  # 1000 / 257
    clear = Image.new("P", (8, 8), 0)
    clear.putpalette([200, 0, 0])
    clear.save(tmp_path / "clear.gif", transparency=0)
    assert one_pixel_of(rgb(), tmp_path / "clear.gif") == [255, 255, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 255  # white above black
    stored = Image.fromarray(np.rot90(upright))  # turned left; orientation 6 turns it back
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / f"turned{suffix}", exif=exif)
    pixels = rgb(16).crop(rgb(16).open(tmp_path / f"turned{suffix}"))
    assert pixels[:, :7].min() > 200 and pixels[:, 9:].max() < 50


def bytes_of(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"these are words", "not an image"),
        (b"", "not an image"),
        (bytes_of(noise(0, (64, 64)), "JPEG")[:900], "truncated"),
        (bytes_of(noise(0, (64, 64)), "PNG")[:900], "truncated"),
        # a PNG header that claims 200,000 x 200,000 pixels
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\3\x0d\x40\0\3\x0d\x40\x08\2\0\0\0" + b"\x87\xbd\x1b\xc4",
            "",
        ),
    ],
    ids=["text", "empty", "short jpeg", "short png", "absurd size"],
)
def test_bad_files_are_refused_by_name_and_reason(tmp_path, content, reason):
    path = tmp_path / "photo one.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"photo one\.jpg") as caught:
        rgb()(path)
    assert reason in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    noise(0, (64, 64)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"bomb.png.*50 million pixels"):
        rgb()(tmp_path / "bomb.png")


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        rgb()(tmp_path / "absent.png")
    with pytest.raises(DataError, match="is a folder"):
        rgb()(tmp_path)


@pytest.mark.parametrize("size", [(100, 100), (160, 213), (301, 97), (40, 40)])
def test_crop_agrees_with_torchvision(size):
    image = noise(1, size).resize(size)
    ours = rgb(56, 64).crop(image).astype(int)
    resized = v2.functional.resize(image, [64], antialias=True)
    theirs = np.asarray(v2.functional.center_crop(resized, [56, 56])).transpose(2, 0, 1).astype(int)
    # Theirs rounds the longer side and the offset to whole pixels: up to half a pixel of shift on non-square images.
    assert abs(ours - theirs).mean() < (0.5 if size[0] == size[1] else 14)


def test_an_image_of_the_input_size_is_not_resampled():
    image = noise(2, (32, 32))
    for interpolation in ("bilinear", "bicubic", "nearest"):
        assert (rgb(32, interpolation=interpolation).crop(image) == np.asarray(image).transpose(2, 0, 1)).all()


def test_the_crop_is_the_centre_of_the_canvas():
    preprocessing = rgb(56, 64)
    image = noise(3, (200, 90))
    assert preprocessing.canvas == (64, 64)
    canvas = preprocessing.crop_canvas(image).astype(int)
    assert canvas.shape == (3, 64, 64)
    assert abs(canvas[:, 4:60, 4:60] - preprocessing.crop(image).astype(int)).max() <= 1


def test_inputs_that_are_not_square():
    preprocessing = Preprocessing(
        height=128, width=96, channels=1, resize=96, interpolation="bicubic", mean=(0.0,), std=(1.0,)
    )
    for size in ((50, 50), (300, 20), (20, 300)):
        assert preprocessing(noise(0, size)).shape == (1, 1, 128, 96)
    tall = Preprocessing(height=96, width=48, channels=1, resize=60, mean=(0.0,), std=(1.0,))
    assert tall.canvas == (120, 60)


def test_normalize_by_hand_on_arrays_and_tensors():
    preprocessing = rgb(2)
    images = np.array([0, 51, 255], np.uint8).reshape(1, 3, 1, 1).repeat(2, 0).repeat(2, 2).repeat(2, 3)
    result = preprocessing.normalize(images)
    assert result.dtype == np.float32 and result.shape == (2, 3, 2, 2)
    expected = [(0 - 0.485) / 0.2, (0.2 - 0.456) / 0.3, (1 - 0.406) / 0.4]
    np.testing.assert_allclose(result[0, :, 0, 0], expected, rtol=1e-6)
    tensor = preprocessing.normalize(torch.from_numpy(images))
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), result, rtol=1e-6)
    assert (images == [[[[0]], [[51]], [[255]]]]).all()  # the input is left alone


def test_call_is_one_normalised_input(tmp_path):
    noise(4, (40, 30)).save(tmp_path / "a.png")
    preprocessing = rgb(16, 18)
    result = preprocessing(tmp_path / "a.png")
    assert result.shape == (1, 3, 16, 16) and result.dtype == np.float32
    assert (result == preprocessing(Image.open(tmp_path / "a.png"))).all()


def test_json_round_trip_and_refusals():
    preprocessing = rgb(224, 256, interpolation="bicubic")
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing
    for text, named in [
        ("{", "truncated"),
        (preprocessing.to_json().replace("resize", "rezise"), "rezise"),
        (preprocessing.to_json().replace("bicubic", "lanczos"), "lanczos"),
        (preprocessing.to_json().replace('"channels":3', '"channels":2'), "allowed: 1"),
        (b"\xff\xfe", "preprocessing"),
    ]:
        with pytest.raises(DataError, match=named):
            Preprocessing.from_json(text)


@pytest.mark.parametrize(
    "changes", [{"channels": 4}, {"height": 0}, {"resize": 4}, {"std": (0, 1, 1)}, {"mean": (0.5,)}]
)
def test_impossible_preprocessing_is_refused(changes):
    with pytest.raises(DataError, match="allowed"):
        rgb(**changes)
