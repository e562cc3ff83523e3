"""Outlines from COCO, YOLO and LabelMe as masks: pixel by pixel those of pycocotools, and every complaint said."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import outline_helpers as outlines
import pytest
from cli_helpers import call, refused
from outline_helpers import HEIGHT, WIDTH
from PIL import Image

from ridgepoint.data import Dataset
from ridgepoint.data.boxes.outline import MOST_POINTS, of_coco
from ridgepoint.data.masks.outlines import scan_outlines
from ridgepoint.errors import DataError
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.reading import read
from ridgepoint.tasks.segmentation import SEGMENTATION
from ridgepoint.testing import formats
from ridgepoint.testing.laws import hold

KINDS = list(outlines.WRITERS)
IGNORED = 255


def mask_of(data: Dataset, name: str) -> np.ndarray:
    """The classes of an image, at its own size."""
    preprocessing, _ = SEGMENTATION.input(data, 32)
    return data.train.truth.read(f"images/{name}", preprocessing, train=False)


def theirs(objects: list, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """By pycocotools, the largest first: 0 background, then the classes."""
    api = pytest.importorskip("pycocotools.mask")
    filled = [(label, api.decode(api.merge(api.frPyObjects(rings, *size))) > 0) for label, rings in objects]
    classes = np.zeros(size, np.uint8)
    for label, inside in sorted(filled, key=lambda one: -one[1].sum()):
        classes[inside] = label + 1
    return classes


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_masks_of_pycocotools(kind: str, tmp_path: Path):
    drawn = outlines.make(tmp_path, kind)
    task, data = read(tmp_path)
    assert (task.name, data.kind, data.classes) == (
        "segmentation",
        f"{kind} with outlines",
        ("background", "leaf", "stone"),
    )
    for name, objects in drawn.items():
        np.testing.assert_array_equal(mask_of(data, name), theirs(objects))
    told = task.summary(data)
    count = sum(map(len, drawn.values()))
    assert f"{count} objects have outlines, so the network is to tell the class of every pixel" in told
    assert f"give detection:{tmp_path}" in told and "3 masks hold background alone" in told
    assert "became the boxes" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_passes_the_kit(kind: str, tmp_path: Path):
    root = tmp_path / "data"
    outlines.make(root, kind)
    found = lambda folder, seed: SEGMENTATION.read(folder, seed=seed, root=None)  # noqa: E731
    hold(formats.Example(read=found, folder=root), formats.CHECKS, called=kind)


def test_runs_of_pixels_are_those_of_pycocotools(tmp_path: Path):
    """As letters and as numbers; of noise, of nothing, of all, of a single pixel at either end."""
    api = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    masks = [rng.random((HEIGHT, WIDTH)) < share for share in (0.0, 0.02, 0.5, 0.98, 1.0)]
    for place in ((0, 0), (-1, -1)):
        masks.append(np.zeros((HEIGHT, WIDTH), bool))
        masks[-1][place] = True
    blot = np.zeros((700, 900), bool)
    blot[30:650, 100:800] = rng.random((620, 700)) < 0.999  # runs of hundreds of pixels: letters that go on
    for mask in [*masks, blot]:
        coded = api.encode(np.asfortranarray(mask.astype(np.uint8)))
        flat = mask.T.ravel()
        edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
        counts = np.diff(edges, prepend=0).tolist() if flat.size else []
        for written in (
            {"size": list(mask.shape), "counts": coded["counts"].decode()},
            {"size": list(mask.shape), "counts": counts},
        ):
            outline = of_coco(json.dumps(written).encode())
            np.testing.assert_array_equal(outline.filled(mask.shape[::-1], mask.shape), mask)
        if mask.any():
            left, top, width, height = api.toBbox(coded)
            assert outline.box == (left, top, left + width, top + height)


def test_holes_rings_crowds_and_what_lies_on_top(tmp_path: Path):
    """Of two objects the smaller one is on top; rings of one object add up; a crowd is left open where nothing is."""
    drawn = outlines.draw(tmp_path / "images")
    square = lambda left, top, side: [left, top, left + side, top, left + side, top + side, left, top + side]  # noqa: E731
    drawn["000.png"] = [(1, [square(20, 20, 4)]), (0, [square(10, 10, 30)]), (1, [square(2, 2, 5), square(50, 2, 5)])]
    content = outlines.coco(drawn)
    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 30, HEIGHT * 30]}  # the left half
    more = {"id": 9999, "image_id": 5, "category_id": 3, "bbox": [0, 0, 30, 48], "segmentation": crowd, "iscrowd": 1}
    content["annotations"].insert(0, more)
    outlines.write_document(tmp_path, content)
    mask = mask_of(SEGMENTATION.read(tmp_path, seed=0, root=None), "000.png")
    assert mask[22, 22] == 2 and mask[15, 15] == mask[35, 35] == 1
    assert mask[4, 4] == mask[4, 52] == 2
    assert mask[47, 0] == IGNORED and mask[47, 59] == 0
    assert sorted(np.unique(mask)) == [0, 1, 2, IGNORED]


def test_an_image_of_another_size_is_drawn_at_its_own(tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    half = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * 30, HEIGHT * 30]}  # the right half
    content["annotations"][0] |= {"segmentation": half, "bbox": [30, 0, 30, 48]}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 5 or each["id"] == 0]
    path = tmp_path / "images" / "000.png"
    Image.open(path).resize((2 * WIDTH, 2 * HEIGHT)).save(path)
    outlines.write_document(tmp_path, content)
    found = scan_outlines(tmp_path)
    classes = found.given["all"].truth.maps.classes("images/000.png")
    label = 1 + (content["annotations"][0]["category_id"] == 7)
    assert classes.shape == (2 * HEIGHT, 2 * WIDTH)
    assert (classes[:, WIDTH:] == label).all() and not classes[:, :WIDTH].any()
    assert any("1 images have another size than their annotations say" in note for note in found.notes)


Change = Callable[[dict], None]


def first(content: dict, **changes: object) -> None:
    content["annotations"][0].update(changes)


BROKEN, ADDED = (
    "neither lists of x, y, x, y, ... nor runs of pixels",
    "runs of pixels that do not add up to their image",
)
TOLD: list[tuple[object, str]] = [
    ([], "objects have no outline"),
    (None, "objects have no outline"),
    ([[3, 3, 20, 20]], "outlines have less than three points"),
    ([[]], "outlines have less than three points"),
    ([[3, 3, 20, 20, 5, 30, 7]], "outlines end in half a point"),
    ([[3, 3, 3, 3, 3, 3]], "outlines hold no pixel of their image"),
    ([[70, 50, 80, 50, 80, 60]], "outlines hold no pixel of their image"),
    ([[3, 3, 9e9, 3, 9, 9e9]], "outlines reach far beyond their image"),
    ([[0, 0, 60, 48, 0, 48, 60, 0] * 100], "outlines are far longer than any"),
    ([[1, 2, 3] * 2 * MOST_POINTS], f"outlines have more than {MOST_POINTS:,} points"),
    ("around it", f"outlines are {BROKEN}"),
    ([[1, 2, 3, "four", 5, 6]], f"outlines are {BROKEN}"),
    ([3, 3, 20, 20, 5, 30], f"outlines are {BROKEN}"),
    ({"size": [48, 60], "counts": [3, 4]}, f"outlines are {ADDED}"),
    ({"size": [48, 60], "counts": [-48, 2928]}, f"outlines are {ADDED}"),
    ({"size": [9, 9], "counts": [80, 1]}, "outlines are runs of pixels of an image of another size"),
    ({"size": [10**9] * 2, "counts": [10**18]}, "pixels of an image of no or of more than 50,000,000 pixels"),
    ({"size": [48, 60], "counts": "\t?"}, "outlines are runs of pixels in letters that stand for none"),
    ({"size": [48, 60], "counts": "o" * 12}, "outlines are runs of pixels in letters that stand for none"),
    ({"size": [48, 60], "counts": "Q"}, "outlines are runs of pixels that break off"),
]


@pytest.mark.parametrize(("written", "told"), TOLD)
def test_an_outline_that_is_none_is_told_and_its_box_counts_for_nothing(written: object, told: str, tmp_path: Path):
    """What is there is not known: as background it would teach what is wrong."""
    drawn = outlines.draw(tmp_path / "images")
    content = outlines.coco(drawn)
    box = content["annotations"][0]["bbox"]
    first(content, segmentation=written)
    outlines.write_document(tmp_path, content)
    data = SEGMENTATION.read(tmp_path, seed=0, root=None)
    where = "what is in their boxes counts for nothing; annotations.json: annotation 0"
    assert f"{told}: {where}" in SEGMENTATION.summary(data)
    mask = mask_of(data, "000.png")
    inside = mask[int(box[1] + 2) : int(box[1] + box[3] - 1), int(box[0] + 2) : int(box[0] + box[2] - 1)]
    assert (inside != 0).all() and (inside == IGNORED).any()


REFUSED: list[tuple[Change, str]] = [
    (lambda c: [each.update(segmentation=[[1, 1]]) for each in c["annotations"][:4]], "up to 5% would be left out"),
    (lambda c: first(c, category_id=99), "has category 99, which the file does not list"),
    (lambda c: first(c, image_id=4711), "is of image 4711, which the file does not list"),
    (lambda c: c["images"][0].update(id=c["images"][1]["id"]), "two images have one id"),
    (lambda c: c["categories"].append({"id": 3, "name": "other"}), "two categories have one id"),
    (lambda c: c["images"][0].update(width=48, height=60), "stored turned"),
    (lambda c: c.update(categories=[{"id": 3 + 4 * n, "name": str(n)} for n in range(300)]), "Allowed for masks: 254"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_what_cannot_be_meant_is_refused(change: Change, told: str, tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    change(content)
    outlines.write_document(tmp_path, content)
    with pytest.raises(DataError, match=told):
        SEGMENTATION.read(tmp_path, seed=0, root=None)


def test_boxes_written_as_outlines_are_boxes_and_the_user_has_the_last_word(tmp_path: Path):
    """Tools for boxes leave the outline empty or write the box; `detection:` and `segmentation:` overrule."""
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    outlines.write_document(tmp_path, content)
    assert read(tmp_path)[0] is SEGMENTATION
    task, data = read(f"detection:{tmp_path}")
    assert task is DETECTION and data.classes == outlines.CLASSES
    aside = (
        f"{len(content['annotations'])} objects have outlines too, which are left aside: to tell classes of pixels give"
    )
    assert f"{aside} segmentation:{tmp_path}" in task.summary(data)
    for each in content["annotations"]:
        x, y, width, height = each["bbox"]
        each["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    outlines.write_document(tmp_path, content)
    assert read(tmp_path)[0] is DETECTION
    task, data = read(f"segmentation:{tmp_path}")
    assert task is SEGMENTATION and len(data.classes) == 3
    for each in content["annotations"]:
        each["segmentation"] = []
    outlines.write_document(tmp_path, content)
    assert read(tmp_path)[0] is DETECTION
    with pytest.raises(DataError, match="nor of images whose objects have outlines"):
        read(f"segmentation:{tmp_path}")


def test_a_train_part_without_an_outline_is_refused(tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    for part, kept in (("train", slice(12)), ("val", slice(12, None))):
        images = content["images"][kept]
        known = {each["id"] for each in images if part == "val"}
        marked = [each for each in content["annotations"] if each["image_id"] in known]
        (tmp_path / f"{part}.json").write_text(json.dumps(content | {"images": images, "annotations": marked}))
    with pytest.raises(DataError, match="images to learn from is background, so there is nothing to tell apart"):
        SEGMENTATION.read(tmp_path, seed=0, root=None)


def test_outlines_that_are_none_are_told_of_boxes_too(tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    for each in content["annotations"]:
        each["segmentation"] = "none"
    outlines.write_document(tmp_path, content)
    task, data = read(tmp_path)
    assert task is DETECTION and "they are left aside, boxes are not" in task.summary(data)


def test_outlines_alone_are_enough_for_boxes(tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    wanted = {each["id"]: each.pop("bbox") for each in content["annotations"]}
    outlines.write_document(tmp_path, content)
    data = DETECTION.read(tmp_path, seed=0, root=None)
    rows = data.train.truth.rows["images/000.png"]
    left, top, right, bottom = rows[0, 1:5] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    np.testing.assert_allclose([left, top, right - left, bottom - top], wanted[0], atol=1e-4)
    assert any(f"{len(wanted)} outlines became the boxes around them" in note for note in data.notes)


def test_a_background_of_ones_own_is_not_doubled(tmp_path: Path):
    content = outlines.coco(outlines.draw(tmp_path / "images"))
    content["categories"].insert(0, {"id": 0, "name": "Background"})
    outlines.write_document(tmp_path, content)
    data = SEGMENTATION.read(tmp_path, seed=0, root=None)
    assert data.classes == ("Background", "leaf", "stone") and set(np.unique(mask_of(data, "000.png"))) <= {0, 1, 2}


def test_only_images_to_judge_are_enough_to_judge_a_file(tmp_path: Path):
    """A folder with a part for validation alone, of boxes and of outlines; for a model with one more class."""
    drawn = outlines.draw(tmp_path / "valid")
    (tmp_path / "valid" / "_annotations.coco.json").write_text(json.dumps(outlines.coco(drawn)))
    assert len(DETECTION.whole(tmp_path, ("stone", "leaf"), root=None)) == 24
    images = SEGMENTATION.whole(tmp_path, ("background", "stone", "moss", "leaf"), root=None)
    wanted = np.array([0, 3, 1])[theirs(drawn["000.png"])]
    np.testing.assert_array_equal(images.truth.maps.classes("valid/000.png"), wanted)
    with pytest.raises(DataError, match="has the class 'leaf', which the model does not know"):
        SEGMENTATION.whole(tmp_path, ("background", "stone"), root=None)


def test_the_verbs_take_outlines_as_masks(tmp_path: Path):
    """Trained, exported, evaluated: what was said of the data is the data's task to the end."""
    outlines.make(tmp_path / "data")
    network = tmp_path / "small.yaml"
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    network.write_text(json.dumps({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}))
    for start, metric in (("", "mIoU"), ("detection:", "mAP50-95")):
        run, data = tmp_path / f"run{metric}", f"{start}{tmp_path / 'data'}"
        done = call("train", network, data, "--size", 32, "--set", "epochs=1", "--out", run)
        assert done.returncode == 0, done.stderr
        assert call("export", run).returncode == 0
        for again in (data, tmp_path / "data"):
            told = json.loads(call("eval", run, again, "--json").stdout)
            assert metric in told and told["trained_on_it"] is True
    refused(call("train", network, f"segmentation:{tmp_path}/none", "--size", 32), "segmentation:")
