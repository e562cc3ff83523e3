"""Detection: the kit, each part against torchvision or pycocotools, and what anchors from the data change."""

from dataclasses import replace
from pathlib import Path

import box_helpers as boxes
import numpy as np
import pytest
import torch
from fences import PAGES, fences
from torchvision.models.detection import _utils as theirs
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms, box_iou

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import answer_shape
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.data import decode as decode_split
from ridgepoint.data.augment import Augmentation, build
from ridgepoint.data.boxes.reading import read_boxes
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.verify import verify
from ridgepoint.errors import InterruptedRun, ParityError
from ridgepoint.nn.anchored import anchor_boxes, decode, encode
from ridgepoint.nn.build import build as build_network
from ridgepoint.tasks.boxes.anchors import choose_anchors
from ridgepoint.tasks.boxes.average_precision import average_precision
from ridgepoint.tasks.boxes.final import Boxes, final_boxes
from ridgepoint.tasks.boxes.matching import match, unmatchable
from ridgepoint.tasks.boxes.multibox import multibox
from ridgepoint.tasks.detection import DETECTION, follow
from ridgepoint.tasks.predict import predict_and_draw
from ridgepoint.testing.tasks import CHECKS, Example
from ridgepoint.train.batches import training_data
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import load_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("boxes")
    boxes.make(root)
    return root


@pytest.mark.parametrize("law", CHECKS)
def test_detection_passes_the_kit(law: str, folder: Path, tmp_path: Path):
    CHECKS[law](Example(DETECTION, folder), tmp_path)


def random_boxes(generator: torch.Generator, *shape: int) -> torch.Tensor:
    start = torch.rand(*shape, 2, generator=generator) * 0.7
    return torch.cat([start, start + 0.05 + torch.rand(*shape, 2, generator=generator) * 0.25], -1)


def random_truth(seed: int, images: int = 4, most: int = 6, classes: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, classes, (images, most, 1), generator=generator).float()
    return torch.cat([labels, random_boxes(generator, images, most), torch.zeros(images, most, 1)], -1)


def grid() -> torch.Tensor:
    return anchor_boxes([[(0.15, 0.15), (0.2, 0.12)], [(0.4, 0.4)]], [(8, 8), (3, 3)])


def test_codes_are_torchvisions():
    generator = torch.Generator().manual_seed(0)
    found, anchors = random_boxes(generator, 50), random_boxes(generator, 50)
    coder = theirs.BoxCoder((10.0, 10.0, 5.0, 5.0))
    torch.testing.assert_close(encode(found, anchors), coder.encode_single(found, anchors))
    offsets = torch.randn(50, 4, generator=generator) * 4
    torch.testing.assert_close(decode(offsets, anchors), coder.decode_single(offsets, anchors))
    torch.testing.assert_close(decode(encode(found, anchors), anchors), found)


def test_the_loss_is_torchvisions_where_every_image_has_objects_and_these_as_many_anchors_each():
    """Same anchors, offsets and logits; theirs takes lists, and its labels begin at 1."""
    anchors, truth = grid(), random_truth(1)
    generator = torch.Generator().manual_seed(2)
    chosen = torch.stack([torch.randperm(64, generator=generator)[:6] for _ in truth])
    truth[..., 1:5] = anchors[2 * chosen] + 0.01 * torch.rand(4, 6, 4, generator=generator)
    truth[:, 0, 0] = 1  # none without
    assert {int(count) for row in match(truth, anchors) for count in row[row >= 0].bincount() if count} == {2}
    offsets = torch.randn(4, len(anchors), 4, generator=generator)
    logits = torch.randn(4, len(anchors), 4, generator=generator)
    matcher, targets = theirs.SSDMatcher(0.5), []
    for rows in truth:
        there = rows[rows[:, 0] >= 0]
        targets.append({"boxes": there[:, 1:5], "labels": there[:, 0].long() + 1})
    matched = [matcher(box_iou(each["boxes"], anchors)) for each in targets]
    model = SSD.__new__(SSD)
    torch.nn.Module.__init__(model)
    model.box_coder, model.neg_to_pos_ratio = theirs.BoxCoder((10.0, 10.0, 5.0, 5.0)), 3
    wanted = SSD.compute_loss(
        model, targets, {"bbox_regression": offsets, "cls_logits": logits}, [anchors] * 4, matched
    )
    rows = torch.cat([offsets, anchors.expand(4, -1, -1), logits], -1)
    torch.testing.assert_close(multibox(rows, truth), sum(wanted.values()))


def test_all_objects_weigh_alike_however_many_anchors_they_have():
    """The pull at classes and at places, summed over an object's anchors, none of which is more wrong than another."""
    anchors = torch.cat([torch.tensor([[0.1, 0.1, 0.3, 0.3]]).expand(5, 4), torch.tensor([[0.6, 0.6, 0.9, 0.9]])])
    truth = torch.tensor([[[0.0, *anchors[0].tolist(), 0.0], [1.0, *anchors[5].tolist(), 0.0]]])
    learnt = torch.cat([torch.full((6, 4), 0.5), torch.zeros(6, 3)], 1).requires_grad_()
    assert match(truth, anchors).tolist() == [[0, 0, 0, 0, 0, 1]]
    multibox(torch.cat([learnt[:, :4], anchors, learnt[:, 4:]], 1)[None], truth).backward()
    pull = learnt.grad.abs().sum(1)
    torch.testing.assert_close(pull[:5].sum(), pull[5])
    torch.testing.assert_close(pull.sum(), torch.tensor(4 * 0.5 + 4 / 3), msg="as if none were weighted")


def test_an_image_without_objects_teaches_and_a_crowd_does_not():
    anchors = grid()
    nothing = torch.full((1, 2, 6), -1.0)
    logits = torch.zeros(1, len(anchors), 3, requires_grad=True)
    rows = torch.cat([torch.zeros(1, len(anchors), 4), anchors[None], logits], -1)
    multibox(rows, nothing).backward()
    assert int((logits.grad.abs().sum(-1) > 0).sum()) == 3, "as many as of one matched anchor"
    crowd = torch.cat([torch.tensor([[[0.0, *anchors[40].tolist(), 1.0]]]), nothing], 1)
    found = match(crowd, anchors)
    assert int(found[0, 40]) == -2 and not bool((found >= 0).any())


def test_every_object_has_an_anchor_and_of_two_the_closer_one_keeps_it():
    """Two objects whose best anchor is the same one; far from all others."""
    anchors = torch.tensor([[0.0, 0.0, 0.2, 0.2], [0.8, 0.8, 1.0, 1.0]])
    close, far = [0.0, 0.01, 0.01, 0.2, 0.2, 0.0], [1.0, 0.1, 0.1, 0.5, 0.5, 0.0]
    for order in ([close, far], [far, close]):
        found = match(torch.tensor([order]), anchors)[0]
        assert int(found[0]) == order.index(close) and int(found[1]) == -1
    alone = match(torch.tensor([[far]]), anchors)[0]
    assert alone.tolist() == [0, -1], "an object below an IoU of 0.5 has its best anchor"


def test_final_boxes_are_those_of_plain_suppression():
    """All rows of all classes, without the limits that make it fast."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.cat([random_boxes(generator, 60), torch.rand(60, 3, generator=generator) ** 4], 1)
    found = final_boxes(rows.numpy())
    anchors, labels = torch.nonzero(rows[:, 4:] >= 0.01, as_tuple=True)
    scores = rows[:, 4:][anchors, labels]
    kept = batched_nms(rows[anchors, :4], scores, labels, 0.55)[:100]
    assert found.labels.tolist() == labels[kept].tolist()
    np.testing.assert_allclose(found.places, rows[anchors[kept], :4].numpy())


def detections(seed: int, truth: np.ndarray) -> list[Boxes]:
    """What a middling detector finds: objects moved, and boxes from nowhere."""
    rng, found = np.random.default_rng(seed), []
    for rows in truth:
        there = rows[(rows[:, 0] >= 0) & (rng.random(len(rows)) < 0.8)]
        moved = (there[:, 1:5] + rng.normal(0, 0.015, (len(there), 4))).clip(0, 1)
        stray = random_boxes(torch.Generator().manual_seed(seed), 4).numpy()
        places = np.concatenate([moved, stray]).astype(np.float32)
        labels = np.concatenate([there[:, 0], rng.integers(0, 3, 4)]).astype(int)
        scores = np.concatenate([0.4 + 0.6 * rng.random(len(there)), 0.7 * rng.random(4)]).astype(np.float32)
        order = np.argsort(-scores)
        found.append(Boxes(places[order], labels[order], scores[order]))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_precision_is_that_of_pycocotools(seed: int):
    """With crowds, images without objects and a class that no image has."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    from ridgepoint.tasks.boxes import average_precision as ours

    truth = random_truth(seed, images=30).numpy()
    truth[0, :, 0] = -1
    truth[1, 0, 0], truth[1, 0, 5] = 0, 1
    found = detections(seed, truth)
    told = average_precision(found, truth, 4)
    reference = coco.COCO()
    reference.dataset = ours._documents(truth, 4)
    reference.createIndex()
    judge = COCOeval(reference, reference.loadRes(ours._found_documents(found)), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert [told.all, told.at_50, told.at_75, told.recall] == pytest.approx(
        judge.stats[[0, 1, 2, 8]].tolist(), abs=1e-6
    )
    for number in range(3):
        precision = judge.eval["precision"][:, :, number, 0, 2]
        assert told.by_class[number] == pytest.approx(precision[precision > -1].mean(), abs=1e-6)
    assert told.by_class[3] is None
    assert [-1 if value is None else value for value in told.by_size] == pytest.approx(
        judge.stats[3:6].tolist(), abs=1e-6
    )
    assert 0.1 < told.all < 0.95, "a set that tells"
    perfect = [
        Boxes(
            rows[rows[:, 0] >= 0, 1:5],
            rows[rows[:, 0] >= 0, 0].astype(int),
            np.ones(int((rows[:, 0] >= 0).sum()), np.float32),
        )
        for rows in truth
    ]
    assert average_precision(perfect, truth, 4).all == pytest.approx(1.0)
    nothing = [Boxes(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32))] * len(truth)
    told_nothing = average_precision(nothing, truth, 4)
    assert told_nothing.by_class == (0.0, 0.0, 0.0, None)
    assert [each is None for each in told_nothing.by_size] == [each is None for each in told.by_size]


def test_anchors_from_the_data_reach_small_objects():
    """A class of 4 % of the side beside one of 40 %: the usual anchors of SSD, from 20 % on, reach none of it."""
    generator = torch.Generator().manual_seed(4)
    rows = torch.full((40, 3, 6), -1.0)
    for label, side in enumerate((0.04, 0.4)):
        start = torch.rand(40, 2, generator=generator) * (1 - side)
        rows[:, label] = torch.cat([torch.full((40, 1), float(label)), start, start + side, torch.zeros(40, 1)], 1)
    usual = anchor_boxes([[(0.2, 0.2), (0.28, 0.14), (0.14, 0.28)], [(0.4, 0.4)]], [(20, 20), (10, 10)])
    missed, total = unmatchable(rows, usual)
    assert missed.tolist() == [40, 0] and total.tolist() == [40, 40]
    chosen = choose_anchors(rows.numpy())
    assert min(width for width, _ in chosen) < 0.05 and max(width for width, _ in chosen) > 0.38
    assert choose_anchors(rows.numpy()) == chosen


def test_unmatchable_objects_are_told_before_a_training(folder: Path):
    summary = DETECTION.summary(DETECTION.read(folder, seed=0, root=None))
    assert "disc" in summary and "anchors:" in summary and "chosen from the objects to learn from" in summary


def test_boxes_move_with_their_pixels():
    """A white rectangle on black, cropped, stretched and mirrored: its box is where its pixels are."""
    augmentation = Augmentation(crop_scale=(0.5, 1.0), crop_ratio=(0.8, 1.25), horizontal_flip=0.5)
    prepared = Preprocessing(height=64, width=64, channels=3, resize=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    augment, seeds = build(augmentation, prepared), np.arange(16, dtype=np.uint64) * 977
    images = torch.zeros(16, 3, 64, 64, dtype=torch.uint8)
    images[:, :, 20:36, 24:44] = 255
    truth = torch.tensor([[[0.0, 24 / 64, 20 / 64, 44 / 64, 36 / 64, 0.0]]]).expand(16, -1, -1)
    moved = follow(truth, augment.geometry(seeds, (64, 64)), (64, 64))
    pixels = augment(images, seeds)[:, 0] > 127
    seen = 0
    for rows, white in zip(moved, pixels, strict=True):
        rows_y, columns_x = torch.nonzero(white, as_tuple=True)
        if rows[0, 0] < 0 or not len(rows_y):
            continue
        box = torch.stack([columns_x.min(), rows_y.min(), columns_x.max() + 1, rows_y.max() + 1]) / 64
        assert (box - rows[0, 1:5]).abs().max() < 1.5 / 64
        seen += 1
    assert seen >= 12


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "mobilenetv4_conv_small", "mobileone_s0", "mobilenetv2_100"])
def test_backbones_of_the_zoo_end_in_a_detector(name: str, folder: Path):
    closing = DETECTION.head(DETECTION.read(folder, seed=0, root=None))
    network = closing.close(load(name).at(height=96, width=96))
    model = build_network(network)
    assert cost(network).params == sum(each.numel() for each in model.parameters())
    x = torch.zeros(2, 3, 96, 96)
    answer = model.eval()(x).detach()
    assert tuple(answer.shape[1:]) == answer_shape(network)
    assert model.train()(x).shape == (2, answer.shape[1], 4 + 4 + 1 + 2)
    assert float(answer[..., 4:].sum(-1).max()) < 1.0, "the background has its share"


def test_reading_for_a_model_keeps_its_order_of_classes(folder: Path):
    other = read_boxes(folder, labels=("square", "star", "disc"))
    own = read_boxes(folder)
    renamed = {0: 2, 1: 0}
    for name in own.given["all"].ids:
        ours, theirs_ = own.given["all"].truth.rows[name], other.given["all"].truth.rows[name]
        assert [renamed[int(row[0])] for row in ours if row[0] >= 0] == [int(row[0]) for row in theirs_ if row[0] >= 0]


def test_the_code_of_the_page_finds_the_same(tmp_path: Path):
    """docs/detection.md tells an app how final boxes are made, with numpy alone."""
    (page,) = (each for each in PAGES if each.name == "detection.md")
    (code,) = (each.text for each in fences(page, "python") if each.title == "final_boxes.py")
    told: dict = {}
    exec(code, told)
    generator = torch.Generator().manual_seed(5)
    rows = torch.cat([random_boxes(generator, 50), torch.rand(50, 3, generator=generator)], 1).numpy()
    found, wanted = told["final_boxes"](rows), final_boxes(rows, least_score=0.4)
    assert [int(label) for _, label, _ in found] == wanted.labels.tolist() and len(found) > 20
    np.testing.assert_allclose([box for box, _, _ in found], wanted.places)


def test_a_training_that_was_left_goes_on_as_if_it_had_not_been(folder: Path, tmp_path: Path):
    """Interrupted at the third step, and taken up again in the same folder: equal weights, bit for bit."""
    data = DETECTION.read(folder, seed=0, root=None)
    prepared, _ = DETECTION.input(data, 32)
    taught = training_data(data, prepared, augmentation=DETECTION.augmentation(data, prepared))
    recipe = load_recipe("boxes", {"batch_size": 4})
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    closing = DETECTION.head(data)
    network = parse_network(
        {"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}, source="t"
    )

    def run(place: Path, stop: int | None) -> dict[str, torch.Tensor]:
        place.mkdir(exist_ok=True)

        def leave(share: float, told: dict) -> None:
            if told["step"] == stop:
                raise KeyboardInterrupt

        batches = DETECTION.batches(taught, recipe, outputs=2, seed=3, accelerator=torch.device("cpu"))
        done = train(
            closing.close(network), taught, recipe, bound=Bound(epochs=2), seed=3, folder=place, batches=batches,
            loss=DETECTION.loss(recipe), score=DETECTION.score, on_step=leave,
        )  # fmt: skip
        return done.model.state_dict()

    with pytest.raises((KeyboardInterrupt, InterruptedRun)):
        run(tmp_path / "left", stop=3)
    assert any("checkpoint" in path.name for path in (tmp_path / "left").iterdir()), "nothing to go on from"
    again, whole = run(tmp_path / "left", stop=None), run(tmp_path / "whole", stop=None)
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_a_file_ships_only_what_its_source_says(folder: Path, tmp_path: Path):
    """Exported, read again and compared on real images; a file of other weights is refused."""
    data = DETECTION.read(folder, seed=0, root=None)
    prepared, _ = DETECTION.input(data, 32)
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    own = parse_network({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}, source="t")
    network = DETECTION.head(data).close(own)
    models = [build_network(network).eval() for _ in range(2)]
    for model in models:  # of weights that say something
        torch.nn.init.normal_(model.head.classifier.scores.map0.conv.weight, 0.0, 1.0)
    told = {"network": network, "preprocessing": prepared, "labels": data.classes, "task": "detection"}
    export_artefact(models[0], tmp_path / "m.onnx", **told, outputs=DETECTION.outputs)
    artefact = load_artefact(tmp_path / "m.onnx")
    images = decode_split(data.val, prepared, train=False).images
    assert verify(models[0], artefact, images, agree=DETECTION.agree).agreement == 1.0
    with pytest.raises(ParityError, match="share of images with the same boxes"):
        verify(models[1], artefact, images, agree=DETECTION.agree)
    (picture,) = [predict_and_draw(artefact, folder / "images" / "000.png")[1]]
    assert picture.size == (boxes.WIDTH, boxes.HEIGHT)


@pytest.mark.parametrize(("short", "side"), [(48, 48), (70, 96), (250, 224), (480, 320)])
def test_photographs_are_squashed_into_up_to_320_px(short: int, side: int, folder: Path):
    data = replace(DETECTION.read(folder, seed=0, root=None), median_size=(short, 2 * short))
    prepared, reason = DETECTION.input(data, None)
    assert (prepared.height, prepared.width, prepared.resizing) == (
        side,
        side,
        "squash",
    ) and f"{side} x {side}" in reason
    assert DETECTION.input(data, 128)[0].resize >= 128
