"""Small images with boxes, written as each of the formats that are read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square")
COLOURS = ((220, 60, 40), (40, 80, 220))
WIDTH, HEIGHT = 60, 48

Drawn = dict[str, list[tuple[int, tuple[int, int, int, int]]]]
"""By image: class and left, top, right, bottom in pixels."""


def draw(folder: Path, count: int = 24, seed: int = 0, first: int = 0) -> Drawn:
    """So many images; every eighth has no object."""
    rng, drawn = np.random.default_rng(seed), {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        image = Image.fromarray(rng.integers(90, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        pen, objects = ImageDraw.Draw(image), []
        for cell in rng.permutation(4)[: 0 if number % 8 == 7 else int(rng.integers(1, 4))]:
            side = int(rng.integers(10, 21))
            left, top = (
                int(rng.integers(0, room - side)) + int(cell_at)
                for room, cell_at in ((30, cell % 2 * 30), (24, cell // 2 * 24))
            )
            label, box = int(rng.integers(2)), (left, top, left + side, top + side)
            (pen.ellipse if label == 0 else pen.rectangle)((left, top, left + side - 1, top + side - 1), COLOURS[label])
            objects.append((label, box))
        name = f"{number:03}.png"
        image.save(folder / name)
        drawn[name] = objects
    return drawn


def coco(drawn: Drawn, **more: Any) -> dict[str, Any]:
    """As COCO JSON; category ids have gaps, as COCO's own."""
    images = [
        {"id": index + 5, "file_name": name, "width": WIDTH, "height": HEIGHT} for index, name in enumerate(drawn)
    ]
    annotations = [
        {
            "id": 100 * index + place,
            "image_id": index + 5,
            "category_id": 3 + 4 * label,
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        }
        for index, objects in enumerate(drawn.values())
        for place, (label, (left, top, right, bottom)) in enumerate(objects)
    ]
    categories = [{"id": 3 + 4 * label, "name": name} for label, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories, **more}


def write_coco(root: Path, drawn: Drawn) -> None:
    (root / "annotations.json").write_text(json.dumps(coco(drawn)))


def write_yolo(root: Path, drawn: Drawn, labels: str = "labels") -> None:
    (root / labels).mkdir(exist_ok=True)
    (root / "data.yaml").write_text("train: images\nnc: 2\nnames: [disc, square]\n")
    for name, objects in drawn.items():
        lines = [
            f"{label} {(left + right) / 2 / WIDTH} {(top + bottom) / 2 / HEIGHT} {(right - left) / WIDTH} "
            f"{(bottom - top) / HEIGHT}"
            for label, (left, top, right, bottom) in objects
        ]
        (root / labels / f"{Path(name).stem}.txt").write_text("\n".join(lines))


def write_voc(root: Path, drawn: Drawn) -> None:
    (root / "Annotations").mkdir(exist_ok=True)
    for name, objects in drawn.items():
        told = "".join(
            f"<object><name>{CLASSES[label]}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
            f"<ymax>{bottom}</ymax></bndbox></object>"
            for label, (left, top, right, bottom) in objects
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}{told}</annotation>"
        (root / "Annotations" / f"{Path(name).stem}.xml").write_text(text)


def write_labelme(root: Path, drawn: Drawn) -> None:
    for name, objects in drawn.items():
        shapes = [
            {"label": CLASSES[label], "shape_type": "rectangle", "points": [[left, top], [right, bottom]]}
            for label, (left, top, right, bottom) in objects
        ]
        content = {"imagePath": name, "imageWidth": WIDTH, "imageHeight": HEIGHT, "imageData": None, "shapes": shapes}
        (root / "images" / f"{Path(name).stem}.json").write_text(json.dumps(content))


WRITERS = {
    "COCO JSON": write_coco,
    "YOLO texts": write_yolo,
    "Pascal VOC XML": write_voc,
    "LabelMe JSON": write_labelme,
}


def make(root: Path, kind: str = "COCO JSON", count: int = 24, seed: int = 0) -> Drawn:
    """A folder of images with boxes."""
    drawn = draw(root / "images", count, seed)
    WRITERS[kind](root, drawn)
    return drawn
