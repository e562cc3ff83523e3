"""Images of polygons with their outlines, written as each of the formats that have such."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("leaf", "stone")
WIDTH, HEIGHT = 60, 48

Drawn = dict[str, list[tuple[int, list[list[float]]]]]
"""By image: class and rings of x, y, x, y, ... in pixels."""


def draw(folder: Path, count: int = 24, seed: int = 0, first: int = 0) -> Drawn:
    """So many images with one to three objects of five to nine corners; every eighth has none."""
    rng, drawn = np.random.default_rng(seed), Drawn()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        image = Image.fromarray(rng.integers(90, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        pen, objects = ImageDraw.Draw(image), []
        for _ in range(0 if number % 8 == 7 else int(rng.integers(1, 4))):
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 10))))
            centre, radius = rng.uniform((14, 14), (WIDTH - 14, HEIGHT - 14)), rng.uniform(7, 13, len(turns))
            ring = (centre + np.stack([np.cos(turns), np.sin(turns)], 1) * radius[:, None]).round(2).ravel().tolist()
            label = int(rng.integers(2))
            pen.polygon(ring, ((40, 200, 60), (210, 200, 190))[label])
            objects.append((label, [ring]))
        name = f"{number:03}.png"
        image.save(folder / name)
        drawn[name] = objects
    return drawn


def box_of(rings: list[list[float]]) -> list[float]:
    """Left, top, width and height."""
    x, y = np.concatenate([ring[::2] for ring in rings]), np.concatenate([ring[1::2] for ring in rings])
    return [float(x.min()), float(y.min()), float(x.max() - x.min()), float(y.max() - y.min())]


def coco(drawn: Drawn, **more: Any) -> dict[str, Any]:
    """As COCO JSON; ids of categories have gaps, as COCO's own."""
    images = [
        {"id": index + 5, "file_name": name, "width": WIDTH, "height": HEIGHT} for index, name in enumerate(drawn)
    ]
    annotations = [
        {
            "id": 100 * index + place,
            "image_id": index + 5,
            "category_id": 3 + 4 * label,
            "bbox": box_of(rings),
            "segmentation": rings,
            "iscrowd": 0,
        }
        for index, objects in enumerate(drawn.values())
        for place, (label, rings) in enumerate(objects)
    ]
    categories = [{"id": 3 + 4 * label, "name": name} for label, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories, **more}


def write_document(root: Path, content: dict[str, Any]) -> None:
    (root / "annotations.json").write_text(json.dumps(content))


def write_coco(root: Path, drawn: Drawn) -> None:
    write_document(root, coco(drawn))


def write_yolo(root: Path, drawn: Drawn) -> None:
    (root / "labels").mkdir(exist_ok=True)
    (root / "data.yaml").write_text("train: images\nnc: 2\nnames: [leaf, stone]\n")
    for name, objects in drawn.items():
        lines = [
            " ".join([str(label), *(str(value / (HEIGHT if at % 2 else WIDTH)) for at, value in enumerate(ring))])
            for label, (ring,) in objects
        ]
        (root / "labels" / f"{Path(name).stem}.txt").write_text("\n".join(lines))


def write_labelme(root: Path, drawn: Drawn) -> None:
    for name, objects in drawn.items():
        shapes = [
            {"label": CLASSES[label], "shape_type": "polygon", "points": np.reshape(ring, (-1, 2)).tolist()}
            for label, (ring,) in objects
        ]
        content = {"imagePath": name, "imageWidth": WIDTH, "imageHeight": HEIGHT, "imageData": None, "shapes": shapes}
        (root / "images" / f"{Path(name).stem}.json").write_text(json.dumps(content))


WRITERS = {"COCO JSON": write_coco, "YOLO texts": write_yolo, "LabelMe JSON": write_labelme}


def make(root: Path, kind: str = "COCO JSON", count: int = 24, seed: int = 0) -> Drawn:
    """A folder of images whose objects have outlines."""
    drawn = draw(root / "images", count, seed)
    WRITERS[kind](root, drawn)
    return drawn
