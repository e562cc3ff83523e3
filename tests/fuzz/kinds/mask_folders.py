"""Folders of images with masks as nobody meant them: values, modes, sizes, names, parts, and what is missing."""

import contextlib
import io
import os
import random
from pathlib import Path

import numpy as np
from harness import Case
from kinds.class_folders import FILES, NAMES, PARTS
from kinds.images import NO_FILES
from PIL import Image
from tiny_model import tiny_model

IMAGES = ("images", "images", "img", "JPEGImages", "leftImg8bit", "Images", "image_2")
MASKS = ("masks", "masks", "labels", "annotations", "SegmentationClass", "gt", "Masks", "instances")
VALUES = ((0, 255), (0, 1), (0, 1, 2), (0, 1, 255), (3, 9), (0,), (255,), tuple(range(200)), (0, 254, 255))
MODES = ("L", "L", "L", "P", "1", "I;16", "I", "F", "RGB", "RGBA", "LA", "CMYK")
NAMED = ("classes.txt", "labels.txt", "README.md", "class_dict.csv", "codes.txt")
TEXTS = (
    b"a\nb\n", b"a\n", b"a\na\n", b"", b"\xff\xfe\x00", b"masks: 0 sky, 1 \x1b[2Jtree",
    b"name,r,g,b\na,0,0,0\nb,1,1,1\n",
    b"x" * 5000 + b"\n", b"a\n" * 300, b"masks (0 a, 1 b, 2 c)", b"\n".join(b"%d" % i for i in range(400)),
)  # fmt: skip


def make(rng: random.Random, folder: Path) -> Case:
    """A tree that `eval` or `train` reads: a valid one, changed some times."""
    root = folder / "data"
    root.mkdir()
    images, masks = rng.choice(IMAGES), rng.choice(MASKS)
    values, mode = rng.choice(VALUES), rng.choice(MODES)
    parts = rng.choice((("",), ("",), ("train", "val"), ("train", "val", "test"), ("Training", "dev"), ("val",)))
    inside = rng.random() < 0.3
    for part in parts:
        places = [root / kind / part if inside else root / part / kind for kind in (images, masks)]
        _fill(rng, *places, count=rng.randrange(2, 8), values=values, mode=mode)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        with contextlib.suppress(OSError, ValueError):
            rng.choice(CHANGES)(rng, root)
    if rng.random() < 0.7:
        words: list[object] = ["eval", tiny_model("segmentation"), "data"]
        words += ["--split", rng.choice(("train", "val", "test", "all"))] if rng.random() < 0.3 else []
    else:
        words = ["train", "no_such_network", "data"] if rng.random() < 0.2 else ["eval", tiny_model(), "data"]
    return Case(words=words)


def _fill(rng: random.Random, images: Path, masks: Path, *, count: int, values: tuple[int, ...], mode: str) -> None:
    for place in (images, masks):
        place.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        noise = np.random.default_rng(rng.randrange(2**32))
        size = rng.choice(((20, 16), (20, 16), (20, 16), (4, 4), (1, 1)))
        Image.fromarray(noise.integers(0, 256, (*size, 3), dtype=np.uint8)).save(images / f"{index}.png")
        _save_mask(masks / f"{index}.png", np.array(values)[noise.integers(0, len(values), size)], mode)


def _save_mask(path: Path, values: np.ndarray, mode: str) -> None:
    if mode in ("I;16", "I"):
        image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.int32))
    elif mode == "F":
        image = Image.fromarray(values.astype(np.float32))
        path = path.with_suffix(".tiff")
    else:
        image = Image.fromarray(values.astype(np.uint8)).convert(mode)
        path = path.with_suffix(".tiff") if mode == "CMYK" else path
    image.save(path)


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _folders(root: Path) -> list[Path]:
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def _remove(rng: random.Random, root: Path) -> None:
    rng.choice(_files(root)).unlink()


def _rename(rng: random.Random, root: Path) -> None:
    old = rng.choice(_files(root) + _folders(root)[1:])
    new = old.with_name(rng.choice((*NAMES, *PARTS, *FILES, f"{old.stem}_mask.png")))
    if not os.path.lexists(new):
        old.rename(new)


def _resize(rng: random.Random, root: Path) -> None:
    path = rng.choice(_files(root))
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.resize(rng.choice(((8, 8), (16, 20), (40, 40)))).save(path)


def _recode(rng: random.Random, root: Path) -> None:
    path = rng.choice(_files(root))
    values = np.random.default_rng(rng.randrange(2**32)).choice([0, 1, 2, 7, 255, 256, 40_000], (20, 16))
    path.unlink()
    _save_mask(path, values, rng.choice(MODES))


def _spoil(rng: random.Random, root: Path) -> None:
    for path in _files(root)[:: rng.choice((1, 2, 5))]:
        path.write_bytes(path.read_bytes()[: rng.choice((0, 10, 60))])


def _add(rng: random.Random, root: Path) -> None:
    place = rng.choice(_folders(root)) / rng.choice(FILES)
    if not os.path.lexists(place):
        place.write_bytes(rng.choice((b"", b"words", rng.choice(_files(root)).read_bytes())))


def _add_no_file(rng: random.Random, root: Path) -> None:
    place = rng.choice(_folders(root)) / rng.choice(("1_mask.png", "odd.png", "classes.txt", "README.md"))
    if not os.path.lexists(place):
        rng.choice(NO_FILES)(place)


def _name(rng: random.Random, root: Path) -> None:
    (rng.choice(_folders(root)) / rng.choice(NAMED)).write_bytes(rng.choice(TEXTS))


def _copy(rng: random.Random, root: Path) -> None:
    files = _files(root)
    rng.choice(files).write_bytes(rng.choice(files).read_bytes())


def _as_jpeg(rng: random.Random, root: Path) -> None:
    path = rng.choice(_files(root))
    Image.open(io.BytesIO(path.read_bytes())).convert("RGB").save(path.with_suffix(".jpg"))
    path.unlink()


CHANGES = (
    _remove,
    _remove,
    _rename,
    _rename,
    _resize,
    _recode,
    _recode,
    _spoil,
    _add,
    _add_no_file,
    _name,
    _name,
    _copy,
    _as_jpeg,
)
