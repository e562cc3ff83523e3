"""Boxes as COCO, YOLO, Pascal VOC and LabelMe write them down, damaged in text, values and structure."""

import json
import os
import random
import tempfile
from functools import cache
from pathlib import Path

import box_helpers
from harness import Case
from mutate import TOKENS, document

FOUL = (
    '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><annotation>&z;</annotation>',
    "<annotation>" * 5000,
    "<annotation><object/></annotation>",
    "0 0.5 0.5 0.2 0.2\n" * 20_000,
    "0 nan inf -1 1e400\n",
    "99999999999999999999 0.5 0.5 0.1 0.1\n",
    '{"images": [], "annotations": [], "categories": []}',
    '{"images": {"a": 1}, "annotations": 3}',
    '{"shapes": [], "imagePath": "../../etc/passwd"}',
    "[" * 100_000,
    "\x00",
)


@cache
def _detector() -> Path:
    """An exported detector of the two classes; random weights."""
    import torch

    from ridgepoint.arch.document import parse_network
    from ridgepoint.data import Preprocessing
    from ridgepoint.deploy.export import export_artefact
    from ridgepoint.nn.build import build

    row = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}
    network = parse_network(
        {
            "name": "tiny",
            "input": [3, 16, 16],
            "num_classes": 2,
            "stem": [row],
            "stages": [{"blocks": [row]}],
            "head": {"head": "detector", "finer": 2, "fine": 4, "anchors": [[0.3, 0.3]], "channels": 8, "smaller": 0},
        },
        source="tiny",
    )
    torch.manual_seed(0)
    about = Preprocessing(
        height=16, width=16, channels=3, resize=16, mean=(0.5,) * 3, std=(0.5,) * 3, resizing="squash"
    )
    folder = Path(os.environ.get("XDG_CACHE_HOME") or tempfile.mkdtemp()) / "tiny_detector"
    folder.mkdir(parents=True, exist_ok=True)
    told = {"network": network, "preprocessing": about, "labels": box_helpers.CLASSES}
    export_artefact(build(network).eval(), folder / "model.onnx", **told, task="detection", outputs=("detections",))
    return folder / "model.onnx"


@cache
def _images() -> tuple[dict[str, bytes], box_helpers.Drawn]:
    with tempfile.TemporaryDirectory() as folder:
        drawn = box_helpers.draw(Path(folder), 8)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}, drawn


def make(rng: random.Random, folder: Path) -> Case:
    """A folder that `eval` reads: a valid one of which one or two files are changed."""
    root = folder / "boxes"
    (root / "images").mkdir(parents=True)
    content, drawn = _images()
    for name, image in content.items():
        (root / "images" / name).write_bytes(image)
    box_helpers.WRITERS[rng.choice(list(box_helpers.WRITERS))](root, drawn)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".png")
    for path in rng.sample(files, min(len(files), rng.choice((1, 1, 2)))):
        change(rng, path)
    words = ["eval", _detector(), "boxes", *(("--split", rng.choice(("all", "train", "test"))) * (rng.random() < 0.3))]
    return Case(words=words)


def change(rng: random.Random, path: Path) -> None:
    """Damage a file of annotations."""
    text = path.read_text()
    if rng.random() < 0.1:
        path.write_text(rng.choice(FOUL))
    elif path.suffix == ".json":
        path.write_bytes(document(rng, json.loads(text), as_json=True))
    else:
        at = rng.randrange(len(text) + 1)
        cut = rng.choice((0, 1, 5, len(text)))
        foul = rng.choice((*TOKENS, *FOUL, "1e9", "-1", "<", "&x;", "7 "))
        path.write_bytes((text[:at] + foul + text[at + cut :]).encode("utf-8", "surrogatepass"))
