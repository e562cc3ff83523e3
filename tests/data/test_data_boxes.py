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
from ridgepoint.tasks.segmentation import SEGMENTATION
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
    (lambda c: first(c, iscrowd=None, bbox=[0, 0, 0, 9]), "1 boxes have no width or no height"),
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


def test_an_image_of_two_parts_is_refused(tmp_path: Path):
    """Its boxes would be those of the last file, in both parts."""
    content = boxes.coco(boxes.draw(tmp_path / "images"))
    for part in ("train", "val"):
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"'images/000\.png' is listed by 'train\.json' and by 'val\.json'"):
        read_boxes(tmp_path)


@pytest.mark.parametrize("kind", ["COCO JSON", "LabelMe JSON", "Pascal VOC XML"])
def test_a_broken_file_of_annotations_is_named(kind: str, tmp_path: Path):
    """Not called a folder of classes, as it was where the first file, or the only one, was broken off."""
    boxes.make(tmp_path, kind)
    path = min(file for file in tmp_path.rglob("*") if file.suffix in (".json", ".xml"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match=f"{path.name}: cannot be read as"):
        read_boxes(tmp_path)
    if kind != "Pascal VOC XML":
        path.write_bytes(b"\xef\xbb\xbf" + whole)
        assert read_boxes(tmp_path).kind == kind


def test_nothing_to_learn_from_is_refused(tmp_path: Path):
    """Crowds alone, or all objects in another part than train."""
    content = boxes.coco(boxes.draw(tmp_path / "images"))
    (tmp_path / "all.json").write_text(
        json.dumps(content | {"annotations": [each | {"iscrowd": 1} for each in content["annotations"]]})
    )
    with pytest.raises(DataError, match=r"none of the 14 images to learn from \(train\) holds an object"):
        DETECTION.read(tmp_path, seed=0, root=None)
    with pytest.raises(DataError, match="none of the 24 images holds an object, crowds and difficult ones left aside"):
        DETECTION.whole(tmp_path, boxes.CLASSES, root=None)
    (tmp_path / "all.json").unlink()
    for empty, told in (("train", "to learn from"), ("val", "to choose by"), ("test", "to judge by")):
        for part, kept in (("train", slice(12)), ("val", slice(12, 18)), ("test", slice(18, None))):
            images = content["images"][kept]
            known = {each["id"] for each in images if part != empty}
            marked = [each for each in content["annotations"] if each["image_id"] in known]
            (tmp_path / f"{part}.json").write_text(json.dumps(content | {"images": images, "annotations": marked}))
        with pytest.raises(DataError, match=rf"none of the \d+ images {told} \({empty}\) holds an object"):
            DETECTION.read(tmp_path, seed=0, root=None)


def test_an_image_is_found_under_another_ending_than_is_written(tmp_path: Path):
    for kind in ("LabelMe JSON", "Pascal VOC XML"):
        drawn = boxes.make(tmp_path / kind, kind)
        for path in (tmp_path / kind).rglob("*.[jx]*"):
            path.write_text(path.read_text().replace(".png", ".jpg"))
        found = read_boxes(tmp_path / kind)
        assert {name: rows_of(found, name) for name in drawn} == drawn, kind


def test_annotations_that_leave_no_object_tell_why(tmp_path: Path):
    boxes.make(tmp_path, "LabelMe JSON")
    for path in (tmp_path / "images").glob("*.json"):
        path.write_text(path.read_text().replace('"rectangle"', '"line"'))
    with pytest.raises(DataError, match=r"no object of the annotations can be used.* shapes are no boxes or outlines"):
        read_boxes(tmp_path)


def test_difficult_objects_of_voc_count_as_crowds(tmp_path: Path):
    """As in its own evaluation: not for what was to be found, nor for mistakes."""
    drawn = boxes.make(tmp_path, "Pascal VOC XML")
    name = next(name for name, objects in drawn.items() if len(objects) > 1)
    path = tmp_path / "Annotations" / f"{Path(name).stem}.xml"
    path.write_text(path.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>", 1))
    found = read_boxes(tmp_path)
    assert any("1 objects are marked as difficult: nothing is learnt from them" in note for note in found.notes)
    rows = next(iter(found.given.values())).truth.rows[f"images/{name}"]
    assert rows[: len(drawn[name]), 5].tolist() == [1.0] + [0.0] * (len(drawn[name]) - 1)
    assert rows_of(found, name) == drawn[name]


def test_lists_of_voc_are_read_as_people_write_them(tmp_path: Path):
    """Names with spaces, endings, folders, and a class's 1 or -1 behind; trainval is train where nothing else is."""
    drawn = boxes.make(tmp_path, "Pascal VOC XML")
    for name in drawn:
        (tmp_path / "images" / name).rename(tmp_path / "images" / f"a photo {name}")
        (tmp_path / "Annotations" / f"{Path(name).stem}.xml").unlink()
    boxes.write_voc(tmp_path, {f"a photo {name}": objects for name, objects in drawn.items()})
    stems = [f"a photo {Path(name).stem}" for name in drawn]
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("".join(f"JPEGImages/{stem}.png\n" for stem in stems[20:]))
    (lists / "val.txt").write_text("".join(f"{stem}  -1\n" for stem in stems[16:20]))
    (lists / "trainval.txt").write_text("\n".join(stems[:20]))
    (tmp_path / "catalogue.xml").write_text("<books/>")
    found = read_boxes(tmp_path)
    assert {part: len(split) for part, split in found.given.items()} == {"train": 16, "val": 4, "test": 4}
    assert any("1 XML files are no annotations of VOC's, and are left aside" in note for note in found.notes)


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
    ("0 0.5 0.5 0.2 0.2 0.5 0.5 1\n", "as many more as kpt_shape in data.yaml tells of keypoints"),
]


@pytest.mark.parametrize(("line", "told"), YOLO)
def test_a_line_of_yolo_that_cannot_be_read_is_named(line: str, told: str, tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "labels" / "003.txt").write_text(line)
    with pytest.raises(DataError, match=r"labels/003\.txt: line 1") as caught:
        read_boxes(tmp_path)
    assert told in str(caught.value)


@pytest.mark.parametrize("line", ["0,0.5,0.5,0.2,0.2", "disc 0.5 0.5 0.2 0.2", "a photograph of a disc"])
def test_texts_that_are_all_written_otherwise_are_told(line: str, tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    for path in (tmp_path / "labels").iterdir():
        path.write_text(line)
    with pytest.raises(DataError, match=r"labels/000\.txt: line 1 is .* Allowed: a class's number"):
        read_boxes(tmp_path)


@pytest.mark.parametrize("names", ["\n  0: disc\n  1: square\n", "{1: square, 0: disc}", "['disc', square]"])
def test_names_of_yolo_stand_in_a_list_or_by_number(names: str, tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "data.yaml").write_text(f"nc: 2\nnames: {names}\n")
    (tmp_path / "args.yaml").write_text("left: [open\n")
    found = read_boxes(tmp_path)
    assert found.classes == boxes.CLASSES
    assert any("1 YAML files cannot be read, and are left aside; args.yaml" in note for note in found.notes)


@pytest.mark.parametrize("by", ["folders", "lists"])
def test_parts_of_yolo_are_those_that_its_table_tells(by: str, tmp_path: Path):
    """Where names of folders tell none: parts of other names, and lists of images; what they share is no part."""
    for place, count in (("day", 14), ("night", 6)):
        drawn = boxes.draw(tmp_path / "images" / place, count, seed=count, first=count)
        boxes.write_yolo(tmp_path, drawn, labels=f"images/{place}")
        (tmp_path / f"{place}.txt").write_text("".join(f"/home/me/images/{place}/{name}\n" for name in drawn))
    places = ("./images/day", "images/night") if by == "folders" else ("day.txt", "../night.txt")
    table = f"names: [disc, square]\ntrain: {places[0]}\n"
    (tmp_path / "data.yaml").write_text(f"{table}val: [{places[1]}]\n")
    found = read_boxes(tmp_path)
    assert {part: {name.split("/")[1] for name in split.ids} for part, split in found.given.items()} == {
        "train": {"day"},
        "val": {"night"},
    }
    assert sum(map(len, found.given.values())) == 20
    (tmp_path / "data.yaml").write_text(f"{table}val: {places[0]}\n")
    found = read_boxes(tmp_path)
    assert set(found.given) == {"all"} and any("have images in common" in note for note in found.notes)


@pytest.mark.parametrize("others", ["data2.yaml", "classes.txt"])
def test_two_files_that_name_other_classes_are_no_silent_choice(others: str, tmp_path: Path):
    boxes.make(tmp_path, "YOLO texts")
    (tmp_path / others).write_text("square\ndisc\n" if others == "classes.txt" else "names: [square, disc]\n")
    if others == "classes.txt":
        assert any("name other classes than data.yaml" in note for note in read_boxes(tmp_path).notes)
        (tmp_path / "data.yaml").unlink()
        (tmp_path / "labels" / others).write_text("disc\nsquare\n")
    with pytest.raises(DataError, match="name different classes"):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("shape", "more"), [("[2, 3]", " 0.5 0.5 2 0.4 0.4 1"), ("[3, 2]", " 0.5 0.5 0.4 0.4 0.6 0.6")]
)
def test_keypoints_of_yolo_are_no_outlines(shape: str, more: str, tmp_path: Path):
    """`kpt_shape` tells how many numbers they are; the box stands before them."""
    drawn = boxes.make(tmp_path, "YOLO texts")
    (tmp_path / "data.yaml").write_text(f"kpt_shape: {shape}\nnames: [disc, square]\n")
    for path in (tmp_path / "labels").iterdir():
        path.write_text("".join(f"{line}{more}\n" for line in path.read_text().splitlines()))
    assert SEGMENTATION.read(tmp_path, seed=0, root=None) is None
    found = read_boxes(tmp_path)
    assert {name: rows_of(found, name) for name in drawn} == drawn
    assert any("lines have keypoints behind their boxes, which are left aside" in note for note in found.notes)


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
