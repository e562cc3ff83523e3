"""Folders of images with masks: every usual layout and value is read as meant, and what is wrong is told."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from mask_helpers import disc, write_discs
from PIL import Image

from ridgepoint.data import Dataset, decode
from ridgepoint.errors import DataError
from ridgepoint.tasks.segmentation import SEGMENTATION


def read(folder: Path) -> Dataset:
    data = SEGMENTATION.read(folder, seed=0, root=None)
    assert data is not None
    return data


def mask_of(data: Dataset, name: str) -> np.ndarray:
    """The classes of an image, at the size that answers are judged at."""
    split = next(part for part in (data.train, data.val, data.test) if name in part.ids)
    preprocessing, _ = SEGMENTATION.input(data, 32)
    return split.truth.read(name, preprocessing, train=False)


def resave(path: Path, change) -> None:
    change(Image.open(path)).save(path)


LAYOUTS = {
    "side by side": lambda root: root,
    "inside parts": lambda root: [write_discs(root / part, 6, first=10 * i) for i, part in enumerate(("train", "val"))],
    "parts inside": lambda root: [
        shutil.copytree(write_discs(root.parent / f"made{i}", 6, first=10 * i) / kind, root / kind / part)
        for i, part in enumerate(("train", "test"))
        for kind in ("images", "masks")
    ],
    "by name": lambda root: [
        shutil.copytree(write_discs(root.parent / f"made{i}", 6, first=10 * i) / kind, root / f"{part}_{kind}")
        for i, part in enumerate(("train", "val"))
        for kind in ("images", "masks")
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path):
    root = tmp_path / "data"
    if layout == "side by side":
        write_discs(root)
    LAYOUTS[layout](root)
    data = read(root)
    assert data.kind == "images with masks" and data.classes == ("background", "foreground")
    assert all(len(part) for part in (data.train, data.val, data.test))
    name = data.train.ids[0]
    assert np.array_equal(mask_of(data, name), disc(int(Path(name).stem))[1])
    assert "0 and 255: taken as background and foreground" in " ".join(data.notes)


def test_names_of_cityscapes(tmp_path: Path):
    for index in range(8):
        pixels, mask = disc(index, classes=3)
        for part in ("leftImg8bit", "gtFine"):
            (tmp_path / part / "train" / "town").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"leftImg8bit/train/town/town_{index}_leftImg8bit.png")
        for kind, offset in (("labelIds", 7), ("labelTrainIds", 0), ("instanceIds", 90)):
            values = (
                np.where(mask == 2, 255, mask + offset).astype(np.uint8) if kind == "labelTrainIds" else mask + offset
            )
            Image.fromarray(values).save(tmp_path / f"gtFine/train/town/town_{index}_gtFine_{kind}.png")
    data = read(tmp_path)
    assert data.classes == ("background", "foreground") and "255 of the masks counts for nothing" in " ".join(
        data.notes
    )


def test_values_of_classes(tmp_path: Path):
    several = write_discs(tmp_path / "several", values=(0, 1, 255))
    data = read(several)
    assert data.classes == ("background", "foreground") and set(np.unique(mask_of(data, data.train.ids[0]))) <= {
        0,
        1,
        255,
    }
    assert read(write_discs(tmp_path / "gaps", values=(3, 7, 9))).classes == ("class 3", "class 7", "class 9")

    named = write_discs(tmp_path / "named", values=(0, 1, 2))
    (named / "classes.txt").write_text("ground\nleaf\nvein\n")
    assert read(named).classes == ("ground", "leaf", "vein")
    (named / "classes.txt").write_text("ground\nleaf\n")
    with pytest.raises(DataError, match=r"the value 2, and classes\.txt names 2 classes"):
        read(named)

    told = write_discs(tmp_path / "told", values=(0, 1))
    (told / "README.md").write_text("Leaves.\n`masks/*.png` (0 ground, 1 leaf), of 24 plants\n")
    assert read(told).classes == ("ground", "leaf")


def test_modes_of_masks(tmp_path: Path):
    for mode in ("P", "1", "I;16", "RGB"):
        root = write_discs(tmp_path / mode.replace(";", ""), 12, values=(0, 1))
        for path in (root / "masks").iterdir():
            values = np.asarray(Image.open(path))
            if mode == "P":
                made = Image.fromarray(values, "P")
                made.putpalette([200, 0, 0, 0, 0, 90])
            elif mode == "I;16":
                made = Image.fromarray(values.astype(np.uint16))
            else:
                made = Image.fromarray(255 * values).convert(mode)
            made.save(path)
        data = read(root)
        name = data.train.ids[0]
        assert np.array_equal(mask_of(data, name), disc(int(Path(name).stem))[1]), mode


def few_masks(root: Path) -> None:
    for path in sorted((root / "masks").iterdir())[:5]:
        path.unlink()


def one_other_size(root: Path) -> None:
    for path in (root / "masks").iterdir():
        resave(path, lambda image: image.resize((16, 32)))


def colours(root: Path) -> None:
    for path in (root / "masks").iterdir():
        resave(path, lambda image: Image.merge("RGB", (image, image.point(lambda x: 255 - x), image)))


def of_objects(root: Path) -> None:
    for number, path in enumerate(sorted((root / "masks").iterdir())):
        Image.fromarray(np.arange(number * 40, number * 40 + 1024, dtype=np.uint16).reshape(32, 32)).save(path)


def all_alike(root: Path) -> None:
    for path in (root / "masks").iterdir():
        resave(path, lambda image: image.point(lambda x: 7))


def lossy(root: Path) -> None:
    for path in (root / "masks").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()


def twice(root: Path) -> None:
    shutil.copy(root / "masks/0.png", root / "masks/0_mask.png")


def broken(root: Path) -> None:
    for path in sorted((root / "masks").iterdir())[:3]:
        path.write_bytes(b"\x89PNG, and no more")


REFUSED = {
    few_masks: "it has no mask",
    one_other_size: r"is 32 x 32 px, and its mask masks/0\.png 32 x 16",
    colours: "it holds colours, not numbers of classes",
    of_objects: "numbers of objects, not of classes",
    all_alike: "every pixel of every mask is 7",
    lossy: "is a JPEG file, which does not keep values",
    twice: "are both masks of one image",
    broken: r"its mask masks/0\.png: not an image",
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_cannot_be_is_refused(wrong, tmp_path: Path):
    root = write_discs(tmp_path)
    wrong(root)
    with pytest.raises(DataError, match=REFUSED[wrong]):
        read(root)


@pytest.mark.parametrize("order", ["trimmed", "turned"])
def test_palettes_of_their_own_are_refused(order: str, tmp_path: Path):
    """The same colours, but in every second mask at other places, as optimisers of palettes leave them."""
    root = write_discs(tmp_path, values=(0, 1, 2))
    for number, path in enumerate(sorted((root / "masks").iterdir())):
        values, palette = np.asarray(Image.open(path)), [0, 0, 0, 200, 0, 0, 0, 200, 0]
        if number % 2 and order == "turned":
            values, palette = 2 - values, [0, 200, 0, 200, 0, 0, 0, 0, 0]
        elif number % 2:
            values, palette = np.maximum(values, 1) - 1, palette[3:]
        made = Image.fromarray(values, "P")
        made.putpalette(palette)
        made.save(path)
    with pytest.raises(DataError, match="Each of these masks has a palette of its own"):
        read(root)


def test_masks_of_other_names_are_no_class(tmp_path: Path):
    """Images and masks were two classes, told apart at once and for nothing."""
    root = write_discs(tmp_path)
    for path in list((root / "masks").iterdir()):
        path.rename(path.with_name(f"m{path.name}"))
    with pytest.raises(DataError, match=r"none has the name of another, such as images/0\.png and masks/m0\.png"):
        read(root)


def test_values_that_look_like_no_classes_are_told(tmp_path: Path):
    root = write_discs(tmp_path, values=(0, 120, 240))
    for path in (root / "masks").iterdir():
        resave(path, lambda image: image.resize((64, 64)).resize((32, 32), Image.Resampling.BILINEAR))
    assert "shades that resizing has left between classes, or numbers of objects?" in SEGMENTATION.summary(read(root))


def test_little_that_is_wrong_is_left_out_and_told(tmp_path: Path):
    root = write_discs(tmp_path, 60)
    (root / "masks/3.png").unlink()
    (root / "images/4.png").unlink()
    resave(root / "masks/5.png", lambda image: image.resize((8, 8)))
    data = read(root)
    kept = {*data.train.ids, *data.val.ids, *data.test.ids}
    assert len(kept) == 57 and len(data.skipped) == 3
    for told in (
        "images/3.png: it has no mask",
        "masks/4.png: it is a mask without an image",
        "images/5.png: is 32 x 32",
    ):
        assert any(each.startswith(told) for each in data.skipped), told
    assert "skipped: 3 file(s)" in SEGMENTATION.summary(data)


def test_a_value_that_train_has_not_is_told(tmp_path: Path):
    write_discs(tmp_path / "train", 12, values=(0, 1, 2))
    write_discs(tmp_path / "val", 1, first=20, values=(0, 1, 9))
    write_discs(tmp_path / "val", 12, first=30, values=(0, 1, 2))
    data = read(tmp_path)
    assert data.skipped == ("val/images/20.png: its mask holds the value 9, no class of train",)


def test_a_changed_mask_is_another_data_set(tmp_path: Path):
    root = write_discs(tmp_path, values=(0, 1))
    before = read(root).fingerprint
    assert read(root).fingerprint == before
    resave(root / "masks/0.png", lambda image: image.transpose(Image.Transpose.ROTATE_90))
    assert read(root).fingerprint != before


def test_copies_and_empty_masks_are_told(tmp_path: Path):
    root = write_discs(tmp_path)
    shutil.copy(root / "images/0.png", root / "images/30.png")
    shutil.copy(root / "masks/1.png", root / "masks/30.png")
    resave(root / "masks/2.png", lambda image: image.point(lambda x: 0))
    told = SEGMENTATION.summary(read(root))
    assert "1 images are copies of another one, and what is marked in them differs" in told
    assert "1 masks hold background alone, which is learnt from as well; first: images/2.png" in told


def test_masks_are_cut_as_their_images_are(tmp_path: Path):
    """Every pixel's class follows from its grey value, before and after it was squashed and cut."""
    root = tmp_path
    for name in ("images", "masks"):
        (root / name).mkdir()
    for index in range(12):
        mask = np.zeros((60, 90), np.uint8)
        mask[index : index + 20, 30 : 50 + index] = 1
        Image.fromarray(mask).save(root / f"masks/{index}.png")
        Image.fromarray(mask * 200).save(root / f"images/{index}.png")
    data = read(root)
    preprocessing, _ = SEGMENTATION.input(data, 32)
    arrays = decode(data.train, preprocessing, train=True)
    height, width = preprocessing.canvas
    assert arrays.labels.shape == (len(data.train), height, width) and arrays.images.shape[2:] == (height, width)
    agree = (arrays.images[:, 0] > 100) == (arrays.labels == 1)
    assert agree.float().mean() > 0.97
    assert decode(data.val, preprocessing, train=False).labels.shape[1:] == (60, 90)
