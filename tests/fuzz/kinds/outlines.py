"""Outlines as COCO, YOLO and LabelMe write them down, damaged in text, values and structure."""

import random
import tempfile
from functools import cache
from pathlib import Path

import outline_helpers
from harness import Case
from kinds.boxes import change
from tiny_model import tiny_model

SEGMENTATIONS = (
    [[1e308, -1e308, 1, 2, 3, 4]], [[0, 0, 59, 0, 59, 47] * 5000], [[]], [[1, 2, 3, 4, 5, 6]] * 3000, {}, "x", 3,
    {"size": [48, 60], "counts": [2880]}, {"size": [48, 60], "counts": "\\^oP1"},
    {"size": [48, 60], "counts": [0, 2880]},
    {"size": [-48, -60], "counts": [2880]}, {"size": [2**40, 2**40], "counts": [2**62, 2**62]},
    {"size": [], "counts": ""},
    {"size": [48, 60], "counts": "o" * 5000}, {"size": [48, 60], "counts": [2**63 - 1, -(2**62)]},
)  # fmt: skip


@cache
def _images() -> tuple[dict[str, bytes], outline_helpers.Drawn]:
    with tempfile.TemporaryDirectory() as folder:
        drawn = outline_helpers.draw(Path(folder), 8)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}, drawn


def make(rng: random.Random, folder: Path) -> Case:
    """A folder that `eval` reads: a valid one of which one or two files, or some outlines, are changed."""
    root = folder / "outlines"
    (root / "images").mkdir(parents=True)
    content, drawn = _images()
    for name, image in content.items():
        (root / "images" / name).write_bytes(image)
    kind = rng.choice(list(outline_helpers.WRITERS))
    if kind == "COCO JSON" and rng.random() < 0.5:
        document = outline_helpers.coco(drawn)
        for each in document["annotations"][:: rng.choice((1, 4, 20))]:
            each["segmentation"] = rng.choice(SEGMENTATIONS)
        outline_helpers.write_document(root, document)
    else:
        outline_helpers.WRITERS[kind](root, drawn)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".png")
    for path in rng.sample(files, min(len(files), rng.choice((0, 1, 1, 2)))):
        change(rng, path)
    model = tiny_model("segmentation", ("background", *outline_helpers.CLASSES))
    data = rng.choice(("outlines", "outlines", "segmentation:outlines", "detection:outlines"))
    return Case(words=["eval", model, data])
