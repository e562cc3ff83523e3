"""Segmentation does all that is asked of a task, learns what it is taught, and goes on as if it was never stopped."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from cli_helpers import call
from fit_helpers import SPACE_FILE
from mask_helpers import write_discs
from PIL import Image
from train_helpers import same

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.document import parse_network
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.heads.semantic_fpn import SemanticFpn
from ridgepoint.arch.network import Network, answer_shape
from ridgepoint.arch.scale import total_stride
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.data import Augmentation, RandAugment
from ridgepoint.errors import InputError
from ridgepoint.tasks.boundary import border, boundary_ious
from ridgepoint.tasks.int8 import change_in
from ridgepoint.tasks.miou import score_maps
from ridgepoint.tasks.segmentation import NARROW_FPN, SEGMENTATION
from ridgepoint.testing import formats, tasks
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound, Trained, train
from ridgepoint.train.recipe import load_recipe

SMALL = {
    "name": "small",
    "input": [1, 32, 32],
    "stem": [{"block": "conv", "stride": 2, "out_channels": 16}],
    "stages": [
        {"blocks": [{"block": "uib", "middle_kernel": 3, "expand_ratio": 2, "stride": 2, "out_channels": 24}]},
        {"blocks": [{"block": "uib", "middle_kernel": 3, "expand_ratio": 2, "stride": 2, "out_channels": 32}]},
    ],
}


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs"), 40)


@pytest.fixture(scope="module")
def data(discs: Path) -> TrainingData:
    found = SEGMENTATION.read(discs, seed=0, root=None)
    preprocessing, _ = SEGMENTATION.input(found, 32)
    return training_data(found, preprocessing, augmentation=SEGMENTATION.augmentation(found, preprocessing))


@pytest.fixture
def network(discs: Path) -> Network:
    return SEGMENTATION.head(SEGMENTATION.read(discs, seed=0, root=None)).close(parse_network(SMALL, source="small"))


@pytest.mark.parametrize("law", tasks.CHECKS)
def test_all_that_is_asked_of_a_task(law: str, discs: Path, tmp_path: Path):
    tasks.CHECKS[law](tasks.Example(SEGMENTATION, discs), tmp_path)


@pytest.mark.parametrize("law", formats.CHECKS)
def test_all_that_is_asked_of_a_format(law: str, discs: Path, tmp_path: Path):
    example = formats.Example(lambda folder, seed: SEGMENTATION.read(folder, seed=seed, root=None), discs)
    formats.CHECKS[law](example, tmp_path)


def test_masks_move_with_their_images(data: TrainingData):
    """After crops, flips, turns and zooms the light pixels are still those that are marked."""
    strong = msgspec.structs.replace(
        data.augmentation, crop_scale=(0.3, 1.5), rotate=40.0, translate=0.2, horizontal_flip=0.5, color_jitter=0.0
    )
    recipe = load_recipe("masks", {"batch_size": 24})
    varied = TrainingData(train=data.train, val=data.val, preprocessing=data.preprocessing, augmentation=strong)
    batches = SEGMENTATION.batches(varied, recipe, outputs=2, seed=1, accelerator=torch.device("cpu"))
    for step in range(3):
        batch = batches.seen(step, 0.0)
        assert batch.targets.shape == (24, 32, 32) and batch.targets.dtype == torch.uint8
        light = batch.images[:, 0].float() > 105
        assert (light == (batch.targets == 1)).float().mean() > 0.93
        rows = batches.seen(step, 0.0, slice(5, 9))
        assert torch.equal(rows.targets, batch.targets[5:9]) and torch.equal(rows.images, batch.images[5:9])


def test_what_masks_cannot_follow_is_refused(data: TrainingData):
    cpu = torch.device("cpu")
    with_policy = load_recipe("masks")
    with_policy = msgspec.structs.replace(with_policy, augmentation=Augmentation(policy=RandAugment()))
    with pytest.raises(InputError, match=r"augmentation\.policy moves pixels"):
        SEGMENTATION.batches(data, with_policy, outputs=2, seed=0, accelerator=cpu)
    with pytest.raises(InputError, match=r"--set mixing\.mixup=0"):
        SEGMENTATION.batches(data, load_recipe("masks", {"mixing.mixup": 0.2}), outputs=2, seed=0, accelerator=cpu)
    with pytest.raises(InputError, match="sampling=each"):
        SEGMENTATION.batches(data, load_recipe("masks", {"sampling": "balanced"}), outputs=2, seed=0, accelerator=cpu)


def test_scores_by_hand():
    """Four pixels a mask: the first image has one of class 1 wrong, the second holds what counts for nothing."""
    truth = np.array([[[0, 0], [1, 1]], [[0, 255], [0, 0]]], np.uint8)
    answers = np.array([[[0, 0], [1, 0]], [[0, 1], [0, 0]]])
    logits = np.eye(3, dtype=np.float32)[answers].transpose(0, 3, 1, 2) * 5
    score = score_maps(logits, truth)
    zero, one = 5 / 6, 1 / 2
    assert score.by_label == (pytest.approx(zero), pytest.approx(one), None)
    assert score.value == pytest.approx((zero + one) / 2)
    assert score.parts["pixel_accuracy"] == pytest.approx(6 / 7)
    assert score.parts["per_image"] == pytest.approx(((2 / 3 + 1 / 2) / 2 + 1) / 2)
    assert score.parts["majority"] == pytest.approx(5 / 7 / 2)


def test_borders_by_hand():
    """A square of 20 in 100 px, found one pixel to the right; a border reaches 3 px (2 % of the diagonal) inwards."""
    mask, answer = torch.zeros(2, 100, 100, dtype=torch.uint8)
    mask[40:60, 40:60], answer[40:60, 41:61] = 1, 1
    ring = 20 * 20 - 14 * 14
    rows, columns = torch.zeros(2, 100, 100, dtype=torch.bool)
    for where, left in ((rows, 40), (columns, 41)):
        where[40:60, left : left + 20], where[43:57, left + 3 : left + 17] = True, False
    assert int(rows.sum()) == ring and torch.equal(border(mask == 1, 3), rows)
    ious = boundary_ious([answer], [mask], 3)
    assert ious[1] == pytest.approx(int((rows & columns).sum()) / int((rows | columns).sum())) and np.isnan(ious[2])
    whole = 19 * 20 / (21 * 20)
    assert ious[1] < whole < 1 and boundary_ious([mask], [mask], 2).tolist() == [1.0, 1.0]
    mask[:, :50] = 255
    assert boundary_ious([answer], [mask], 2)[1] > ious[1]


def test_ties_are_no_disagreement():
    logits = np.zeros((2, 2, 4, 4), np.float32)
    logits[:, 0] = 1.0
    logits[0, 1, 0, 0] = 1.0 - 1e-4  # a tie
    other = logits.copy()
    other[0, 1, 0, 0] = 1.0 + 1e-4
    assert SEGMENTATION.agree(logits, other).share == 1.0
    other[1, 1, 2, 2] = 1.1
    assert SEGMENTATION.agree(logits, other).share == 0.5


class Stop(Exception):
    """The machine goes down."""


def learn(network: Network, data: TrainingData, folder: Path | None = None, stop: int | None = None) -> Trained:
    recipe = load_recipe("masks", {"batch_size": 8})

    def on_step(progress: float, record: dict) -> None:
        if record["step"] == stop:
            raise Stop

    batches = SEGMENTATION.batches(data, recipe, outputs=2, seed=3, accelerator=torch.device("cpu"))
    return train(
        network, data, recipe, bound=Bound(epochs=24), seed=3, folder=folder, batches=batches,
        loss=SEGMENTATION.loss(recipe), score=SEGMENTATION.score, on_step=on_step,
    )  # fmt: skip


def test_it_learns_and_stopped_trainings_end_alike(network: Network, data: TrainingData, tmp_path: Path):
    whole = learn(network, data)
    assert whole.val_accuracy > 0.75, "two dozen epochs tell discs from noise"
    for stop in (5, 34):
        with pytest.raises(Stop):
            learn(network, data, tmp_path, stop)
    again = learn(network, data, tmp_path)
    assert same(whole, again) and again.val_accuracy == whole.val_accuracy


def test_every_network_of_the_zoo_can_be_closed():
    """At 128 px, answers are 16 x 16 and 32 x 32; one whose maps end at stride 8 has not all that a pyramid takes."""
    for head, side in ((LiteRAspp(image_size=False), 16), (NARROW_FPN, 32)):
        closing = Closing(num_classes=3, head=head)
        for name in list_models():
            network = load(name).at(height=128)
            if head is NARROW_FPN and total_stride(network) == 8:
                assert name == "deeplabv3_mobilenetv2_voc" and not closing.fits(network)
                continue
            assert answer_shape(closing.close(network)) == (3, side, side), name


def test_a_space_leaves_the_head_open_and_networks_with_one_keep_it(tmp_path: Path):
    data = SEGMENTATION.read(write_discs(tmp_path, 8, side=96), seed=0, root=None)
    closing = SEGMENTATION.head(data)
    space = closing.close_space(load_space("mobilenetv4_conv"))
    (choice,) = [each for each in space.choices if each.name == "task_head"]
    usual = space.complete(lambda each: 0)
    heads = [space.decode({**usual, choice.name: at}).head.tag() for at in range(3)]
    assert heads == ["lraspp", "lraspp", "semantic_fpn"]
    own = msgspec.structs.replace(load("mobilenetv3_small_050"), head=SemanticFpn(hidden_channels=16))
    assert closing.close(own).head == own.head and closing.close(own).num_classes == 2


def test_trained_exported_evaluated_and_drawn(discs: Path, tmp_path: Path):
    network, run = tmp_path / "small.yaml", tmp_path / "run"
    network.write_text(json.dumps(SMALL))
    done = call("train", network, discs, "--size", 32, "--set", "epochs=12", "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["task"], result["metric"]) == ("segmentation", "mIoU") and result["accuracy"]["test"] > 0.7
    assert result["IoU"].keys() == {"background", "foreground"} and "taken as background and foreground" in done.stderr
    page = (run / "report.html").read_text()
    assert "test mIoU" in page and " accuracy" not in page.split("<script")[0]

    exported = call("export", run, "--json")
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["parity"]["agreement"] == 1.0
    judged = json.loads(call("eval", run, discs, "--json").stdout)
    assert judged["mIoU"] == pytest.approx(result["accuracy"]["test"], abs=1e-4) and judged["split"] == "test"
    assert "IoU" in call("eval", run, discs, "--split", "all").stdout

    picture = discs / "images/0.png"
    said = call("predict", run, picture, "--draw", tmp_path / "drawn", "--json")
    (found,) = json.loads(said.stdout)
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert Image.open(found["drawn"]).size == Image.open(picture).size
    told = call("export", run, "--int8", "--data", discs, "--busy", "--json")
    assert told.returncode in (0, 3) and json.loads(told.stdout)["int8"]["outcome"] != "loses", told.stderr


def test_int8_is_judged_by_the_change_of_the_miou():
    """Answers that are the same lose nothing; where half of the images are answered by the other class, all is lost."""
    truth = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (40, 4, 4), dtype=np.uint8))
    before = torch.nn.functional.one_hot(truth.long(), 2).permute(0, 3, 1, 2).float().numpy()
    change = change_in(SEGMENTATION, "val")
    same, worse = change(before, before, truth), change(before, np.concatenate([before[:20], -before[20:]]), truth)
    assert (same.value, same.low, same.metric) == (0.0, 0.0, "mIoU")
    assert -0.9 < worse.value < -0.5 and worse.low < worse.value < worse.high < 0


def test_a_whole_fit(discs: Path, tmp_path: Path):
    run = tmp_path / "run"
    done = call(
        "fit", discs, "--latency", "0.6ms", "--size", 32, "--space", SPACE_FILE, "--evaluations", 1, "--baselines", 1,
        "--set", "epochs=8", "--set", "short_epochs=2", "--table", tmp_path / "table.json", "--out", run, "--busy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((run / "result.json").read_text())
    assert (result["task"], result["metric"]) == ("segmentation", "mIoU") and result["met"]
    assert result["score"]["value"] == result["accuracy"]["artefact"] > 0.6 and result["parity"]["agreement"] == 1.0
    assert result["score"]["by_label"].keys() == {"background", "foreground"}
    assert result["accuracy"]["majority"] < 0.5 and len(result["baselines"]) == 1
    page = (run / "report.html").read_text()
    assert "The worst images" in page and "mIoU against latency" in page and page.count("image, mask and answer") >= 8
    assert "same label map as the trained network" in page and "IoU by class, the least first" in done.stdout
    again = json.loads(call("eval", run, discs, "--json").stdout)
    assert again["mIoU"] == pytest.approx(result["score"]["value"], abs=1e-6)
