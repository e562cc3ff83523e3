"""Boxes from COCO, YOLO, Pascal VOC and LabelMe: the same data set of each, and every complaint said or refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import box_helpers as boxes
import numpy as np
import pytest
from PIL import Image

from ridgepoint.data.boxes.annotations import MOST_ON_ONE
from ridgepoint.data.boxes.mending import mended
from ridgepoint.data.boxes.reading import read_boxes
from ridgepoint.data.dataset import assemble
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.testing import formats
from ridgepoint.testing.laws import hold

KINDS = list(boxes.WRITERS)


def rows_of(found, name: str) -> list[tuple[int, tuple[int, ...]]]:
    """Class and box in pixels of an image, as they were drawn."""
    truth = next(iter(found.given.values())).truth
    rows = truth.rows[f"images/{name}"]
    scale = np.array([boxes.WIDTH, boxes.HEIGHT] * 2)
    return [(int(row[0]), tuple(np.round(row[1:5] * scale).astype(int).tolist())) for row in rows if row[0] >= 0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_says_the_same(kind: str, tmp_path: Path):
    drawn = boxes.make(tmp_path, kind)
    found = read_boxes(tmp_path)
    assert (found.kind, found.classes) == (kind, boxes.CLASSES)
    assert {name: rows_of(found, name) for name in drawn} == drawn
    assert any(note.startswith("3 images hold no object") for note in found.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_passes_the_kit(kind: str, tmp_path: Path):
    root = tmp_path / "data"
    boxes.make(root, kind)
    read = lambda folder, seed: DETECTION.read(folder, seed=seed, root=None)  # noqa: E731
    hold(formats.Example(read=read, folder=root), formats.CHECKS, called=kind)


def test_class_folders_are_left_to_classification(tmp_path: Path):
    for name in boxes.CLASSES:
        boxes.draw(tmp_path / name, 6, seed=len(name))
        (tmp_path / name / "000.txt").write_text("a photograph of a disc")
        (tmp_path / name / "about.json").write_text('{"images": 3}')
    (tmp_path / "catalogue.xml").write_text("<books/>")
    assert read_boxes(tmp_path) is None
    assert CLASSIFICATION.read(tmp_path, seed=0, root=None).classes == boxes.CLASSES


def test_parts_are_those_of_names_and_folders(tmp_path: Path):
    """Files of the same names in both parts; the given val, which no choice is made by, becomes test."""
    for part, count in (("train", 16), ("val", 6)):
        drawn = boxes.draw(tmp_path / "images" / part, count, seed=count)
        (tmp_path / f"instances_{part}.json").write_text(json.dumps(boxes.coco(drawn)))
    data = assemble(read_boxes(tmp_path), seed=0)
    assert {name.split("/")[1] for name in data.test.ids} == {"val"} and len(data.test) == 6
    assert len(data.train) + len(data.val) == 16 and {name.split("/")[1] for name in data.train.ids} == {"train"}


def test_parts_of_voc_are_those_of_its_lists(tmp_path: Path):
    drawn = boxes.make(tmp_path, "Pascal VOC XML")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    stems = [Path(name).stem for name in drawn]
    for part, chosen in (("train", stems[:12]), ("val", stems[12:16]), ("test", stems[16:20])):
        (tmp_path / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(chosen))
    found = read_boxes(tmp_path)
    assert {part: len(split) for part, split in found.given.items()} == {"train": 12, "val": 4, "test": 4}
    assert any("4 annotations are in no list" in note for note in found.notes)


Change = Callable[[dict], None]


def first(content: dict, **changes: object) -> None:
    content["annotations"][0].update(changes)


MENDED: list[tuple[Change, str]] = [
    (lambda c: first(c, bbox=[0, 0, 0, 9]), "1 boxes have no width or no height, and are left out; annotations.json"),
    (lambda c: first(c, bbox=[99, 5, 10, 10]), "1 boxes lie outside of their image, and are left out"),
    (lambda c: first(c, bbox=[30, 20, -9, -9]), "1 boxes stand the wrong way round"),
    (lambda c: first(c, bbox=[50, 40, 30, 30]), "1 boxes reach beyond their image, and are cut at its border"),
    (lambda c: first(c, bbox=None), "1 annotations without a box of four numbers are left out"),
    (lambda c: first(c, bbox=[1, 2, 3]), "1 annotations without a box of four numbers are left out"),
    (lambda c: c["annotations"].append(c["annotations"][0]), "1 objects are written down twice, and count once"),
    (
        lambda c: c["images"].append({"id": 1, "file_name": "no.png"}),
        "1 images that the annotations list are not there",
    ),
    (lambda c: c["images"][0].update(width=120, height=96), "1 images have another size than their annotations say"),
    (lambda c: c["images"].pop(7), "1 images are in no annotation, and are left out; images/007.png"),
]


@pytest.mark.parametrize(("change", "told"), MENDED)
def test_what_is_mended_or_left_out_is_said(change: Change, told: str, tmp_path: Path):
    content = boxes.coco(boxes.draw(tmp_path / "images"))
    change(content)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    data = assemble(read_boxes(tmp_path), seed=0)
    assert told in DETECTION.summary(data)
    rows = np.concatenate([part.truth.rows[name] for part in (data.train,) for name in part.ids])
    there = rows[rows[:, 0] >= 0]
    assert ((there[:, 3:5] > there[:, 1:3]) & (there[:, 1:3] >= 0) & (there[:, 3:5] <= 1)).all()


REFUSED: list[tuple[Change, str]] = [
    (lambda c: first(c, category_id=99), "has category 99, which the file does not list. Allowed: 3, 7"),
    (lambda c: first(c, image_id=4711), "is of image 4711, which the file does not list"),
    (lambda c: c["images"][0].update(id=c["images"][1]["id"]), "two images have one id"),
    (lambda c: c["images"][0].update(file_name="001.png"), "are one image"),
    (lambda c: c["categories"].append({"id": 3, "name": "other"}), "two categories have one id"),
    (lambda c: c["categories"].append({"id": 8, "name": "disc"}), "the class 'disc' is named twice"),
    (lambda c: c["images"][0].update(width=48, height=60), "stored turned"),
    (lambda c: c["images"][0].update(width=400), "its annotations are of 400 x 48"),
    (lambda c: [each.update(bbox=[0, 0, 0, 0]) for each in c["annotations"][:9]], "up to 5% would be left out"),
    (lambda c: [each.update(file_name="x/y.png") for each in c["images"][:9]], "are not below"),
    (lambda c: c.update(annotations=[]), "no image has an object"),
    (lambda c: c.update(categories=[]), "names 0 classes"),
    (lambda c: first(c, bbox="left"), "cannot be read as COCO JSON"),
    (lambda c: first(c, bbox=[1e308, 1e308, 1e308, 1e308]) or c.update(annotations=c["annotations"][:1]), "no numbers"),
    (lambda c: c.update(annotations=c["annotations"][:1] * (MOST_ON_ONE + 1)), "Allowed: 10,000"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_what_cannot_be_meant_is_refused(change: Change, told: str, tmp_path: Path):
    content = boxes.coco(boxes.draw(tmp_path / "images"))
    change(content)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=told):
        read_boxes(tmp_path)


def test_a_path_in_a_file_leads_nowhere_else(tmp_path: Path):
    """Only files below the folder are looked at, whatever the annotations say."""
    drawn = boxes.draw(tmp_path / "data" / "images")
    Image.new("RGB", (60, 48)).save(tmp_path / "secret.png")
    content = boxes.coco(drawn)
    content["images"][0]["file_name"] = "../secret.png"
    content["images"][1]["file_name"] = str(
        tmp_path / "data" / "images" / "001.png"
    )  # of another machine: its name counts
    (tmp_path / "data" / "annotations.json").write_text(json.dumps(content))
    found = read_boxes(tmp_path / "data")
    assert "images/001.png" in found.given["all"].ids and len(found.given["all"]) == 23


YOLO = [
    ("0 0.5 0.5 0.2\n", "line 1 is '0 0.5 0.5 0.2'. Allowed: a class's number"),
    ("2 0.5 0.5 0.2 0.2\n", "the class is 2, and data.yaml names 2. Allowed: 0 to 1"),
    ("0.5 0.5 0.5 0.2 0.2\n", "Allowed: a class's number"),
    ("-1 0.5 0.5 0.2 0.2\n", "Allowed: a class's number"),
    ("0 nan 0.5 0.2 0.2\n", "Allowed: a class's number"),
    ("disc 0.5 0.5 0.2 0.2\n", "Allowed: a class's number"),
]


@pytest.mark.parametrize(("line", "told"), YOLO)
def test_a_line_of_yolo_that_cannot_be_read_is_named(line: str, told: str, tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "labels" / "003.txt").write_text(line)
    with pytest.raises(DataError, match=r"labels/003\.txt: line 1") as caught:
        read_boxes(tmp_path)
    assert told in str(caught.value)


def test_yolo_in_pixels_is_refused_and_missing_texts_are_said(tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "labels" / "003.txt").unlink()
    (tmp_path / "labels" / "999.txt").write_text("0 0.5 0.5 0.1 0.1")
    notes = " ".join(read_boxes(tmp_path).notes)
    assert "1 images have no text beside them: taken for images without objects; images/003.png" in notes
    assert "1 texts belong to no image, and are left out; labels/999.txt" in notes
    for path in (tmp_path / "labels").glob("*.txt"):
        path.write_text("0 30 24 10 10\n")
    with pytest.raises(DataError, match="lie outside of their image"):
        read_boxes(tmp_path)


def test_outlines_become_the_boxes_around_them(tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "labels" / "000.txt").write_text("1 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5\n")
    found = read_boxes(tmp_path)
    assert rows_of(found, "000.png") == [(1, (15, 12, 45, 36))]
    assert any("1 outlines became the boxes around them" in note for note in found.notes)


XML = [
    ('<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>', "declares a document type"),
    ("<annotation>" * 30 + "</annotation>" * 30, "nested deeper than 20"),
    ("<annotation><object>", "cannot be read as XML"),
    ("<annotation><object><bndbox/></object></annotation>", "an object without a name"),
    ("<other/>", "its root is 'other'"),
]


@pytest.mark.parametrize(("text", "told"), XML)
def test_hostile_or_broken_xml_is_refused(text: str, told: str, tmp_path: Path):
    boxes.make(tmp_path, "Pascal VOC XML")
    (tmp_path / "Annotations" / "003.xml").write_text(text)
    with pytest.raises(DataError, match=told):
        read_boxes(tmp_path)


def test_a_pipe_under_a_name_of_annotations_is_not_waited_for(tmp_path: Path):
    boxes.make(tmp_path, "Pascal VOC XML")
    (tmp_path / "Annotations" / "003.xml").unlink()
    os.mkfifo(tmp_path / "Annotations" / "003.xml")
    with pytest.raises(DataError, match="no regular file"):
        read_boxes(tmp_path)


def test_boxes_follow_what_is_cut_of_an_image(tmp_path: Path):
    """By hand: the middle 48 x 48 of 60 x 48 px; what is hardly in it is a crowd, what is not, no object."""
    from ridgepoint.data.boxes.annotations import Marked, Picture, Remarks
    from ridgepoint.data.boxes.truth import BoxTruth

    objects = tuple(Marked("disc", box) for box in ((6, 0, 30, 24), (0, 0, 8, 10), (0, 20, 5, 30)))
    rows = mended([Picture("a", "all", objects)], {"a": (48, 60)}, ("disc",), Remarks())
    truth = BoxTruth({"a": rows[0]}, {"a": (48, 60)}, 3)
    covering = Preprocessing(height=32, width=32, channels=3, resize=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    found = truth.read("a", covering, train=False)
    np.testing.assert_allclose(found[0], [0, 0, 0, 0.5, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [0, 0, 0, 2 / 48, 10 / 48, 1], atol=1e-6)
    assert found[2, 0] == -1
