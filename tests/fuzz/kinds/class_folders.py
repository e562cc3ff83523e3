"""Folder trees as nobody meant them: odd names for parts and classes, links in circles, pipes, helpers, few images."""

import contextlib
import os
import random
from functools import cache
from pathlib import Path

from harness import Case
from kinds.images import NO_FILES, noise, saved
from tiny_model import tiny_model

PARTS = ("train", "val", "test", "Training", "Test", "valid", "dev", "TRAIN", "fold1", "fold2", "images", "train2017")
NAMES = (
    *("a", "b", "a", "b", "A", "cat2", "cat", "10", "9", "²", "٣", "１", "left", "x" * 255, "café", "cafe\u0301"),
    *(
        " a",
        "a ",
        "a\u200b",
        "a\nb",
        "\x1b[2Ja",
        "-x",
        "--help",
        "*",
        "[bold]a",
        "~",
        "a%s{0}",
        "'",
        '"',
        "\\",
        "\u202ea",
    ),
    *("\udce9", "9" * 250, ".", "..", "...", "a.jpg", "train", "con", "🐈"),
    *("@eaDir", "__MACOSX", ".thumbnails", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"),
)
FILES = (
    *("1.png", "2.jpg", "3.webp", "10.png", "Thumbs.db", "desktop.ini", "._1.jpg", ".hidden.png", "notes.txt"),
    *("photo.HEIC", "raw.CR2", "film.mp4", "noending", "a.b.c.png", "é.png", "\x07.png", "\udcff.png", ".png", "png."),
)


def make(rng: random.Random, folder: Path) -> Case:
    """A tree that `eval` reads: a valid one that is changed, or one of random names throughout."""
    root = folder / "photos"
    root.mkdir()
    if rng.random() < 0.6:
        _valid(rng, root)
    else:
        _random(rng, root, depth=rng.randrange(1, 4))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        with contextlib.suppress(OSError):  # what a link leads to may take no file
            rng.choice(CHANGES)(rng, root)
    words = ["eval", tiny_model(), rng.choice(("photos", "photos", "photos/", "./photos", "photos/a"))]
    if rng.random() < 0.3:
        words += ["--split", rng.choice(("train", "val", "test", "all"))]
    return Case(words=words)


def _valid(rng: random.Random, root: Path) -> None:
    for part in rng.choice(
        (("",), ("train", "val"), ("train", "test"), ("train", "val", "test"), ("Training", "Testing"))
    ):
        for name in "ab":
            _fill(rng, root / part / name, rng.randrange(3, 8))


def _random(rng: random.Random, root: Path, *, depth: int) -> None:
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(PARTS if rng.random() < 0.4 else NAMES)
        if name in (".", ".."):
            continue
        if depth > 1:
            (root / name).mkdir(exist_ok=True)
            _random(rng, root / name, depth=depth - 1)
        else:
            _fill(rng, root / name, rng.choice((0, 1, 3, 6)))


@cache
def _image(number: int) -> bytes:
    return saved(noise("RGB", number), "PNG")


def _fill(rng: random.Random, folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index}.png").write_bytes(_image(rng.randrange(40)))


def _folders(root: Path) -> list[Path]:
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _place(rng: random.Random, root: Path, names: tuple[str, ...]) -> Path:
    return rng.choice(_folders(root)) / rng.choice([name for name in names if name not in (".", "..")])


def _rename(rng: random.Random, root: Path) -> None:
    old = rng.choice(_folders(root))
    new = _place(rng, root, NAMES + PARTS)
    if old != root and not os.path.lexists(new) and not new.is_relative_to(old):
        old.rename(new)


def _add_folder(rng: random.Random, root: Path) -> None:
    place = _place(rng, root, NAMES + PARTS)
    if not os.path.lexists(place):
        _fill(rng, place, rng.choice((0, 1, 3)))


def _add_file(rng: random.Random, root: Path) -> None:
    place = _place(rng, root, FILES)
    if not os.path.lexists(place):
        place.write_bytes(rng.choice((b"", b"words", _image(rng.randrange(40)))))


def _add_no_file(rng: random.Random, root: Path) -> None:
    place = _place(rng, root, ("odd.png", "odd.jpg", "odd.txt", "c"))
    if not os.path.lexists(place):
        rng.choice(NO_FILES)(place)


def _link(rng: random.Random, root: Path) -> None:
    place = _place(rng, root, (*NAMES, "again.png"))
    aims = [*_folders(root), *_files(root)[:5], root.parent, Path("/proc/self/fd"), Path("/dev/null"), Path("nowhere")]
    if not os.path.lexists(place):
        place.symlink_to(rng.choice(aims))


def _copy(rng: random.Random, root: Path) -> None:
    files = _files(root)
    if files:
        rng.choice(files).write_bytes(_image(0))
        _place(rng, root, ("copy.png",)).write_bytes(_image(0))


def _spoil(rng: random.Random, root: Path) -> None:
    for path in _files(root)[:: rng.choice((1, 2, 5))]:
        path.write_bytes(path.read_bytes()[: rng.choice((0, 10, 100))])


def _deep(rng: random.Random, root: Path) -> None:
    place = rng.choice(_folders(root))
    for _ in range(60):
        place = place / "d"
    _fill(rng, place, 2)


def _wrap(rng: random.Random, root: Path) -> None:
    inside = root.with_name("inside")
    root.rename(inside)
    root.mkdir()
    inside.rename(root / rng.choice(("images", "photos", "train", "a")))


def _same_inside(rng: random.Random, root: Path) -> None:
    for folder in _folders(root)[1:]:
        for name in rng.choice((("left", "right"), ("train", "test"), ("images", "labels"))):
            _fill(rng, folder / name, 2)


CHANGES = (
    *(_rename, _rename, _add_folder, _add_file, _add_file, _add_no_file, _link, _link, _copy, _spoil, _deep, _wrap),
    _same_inside,
)
