"""What a recipe asks of weights that a whole space shares: honoured, or refused."""

import os
import signal
from pathlib import Path

import pytest
import torch
from cli_helpers import call, refused
from torch import Tensor, nn

from ridgepoint.arch.space import Space, parse_space
from ridgepoint.data import choose_input, detect
from ridgepoint.errors import DivergedError, InputError
from ridgepoint.search.one_shot import learn
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.checkpoint import load_checkpoint
from ridgepoint.train.loop import Bound
from ridgepoint.train.optimizer import SGD
from ridgepoint.train.recipe import Norm, Recipe
from ridgepoint.train.resumable import CHECKPOINT

STEPS = 6


@pytest.fixture(scope="module")
def data() -> TrainingData:
    dataset = detect("digits", seed=0)
    preprocessing, _ = choose_input(dataset, size=8)
    return training_data(dataset, preprocessing)


def space() -> Space:
    kept = {"block": "conv", "kernel": 3, "out_channels": 16}
    rows = [
        {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 16},
        {"choice": [kept, {"block": "pool_mixer", "expand_ratio": 2}, None], "name": "slot"},
    ]
    raw = {"name": "small", "input": [1, 8, 8], "num_classes": 10, "stages": [{"blocks": rows}]}
    return parse_space({**raw, "conventions": {"layer_scale": 0.1}}, source="small")


def recipe(**changes: object) -> Recipe:
    return Recipe(**{"name": "digits", "batch_size": 64, "optimizer": SGD(lr=0.05), **changes})


def taught(data: TrainingData, **changes: object) -> tuple[SharedWeights, list[float]]:
    """Weights after some steps of one child and of all options of the slot in turn, and the losses."""
    weights, losses = SharedWeights(space(), data, recipe(**changes), seed=0), []
    for step in range(STEPS):
        progress = step / STEPS
        if step % 2:
            shares = torch.full((3,), 1 / 3, requires_grad=True)
            losses.append(weights.teach_mixed(step, progress, {}, {"slot": shares}))
            assert shares.grad is not None and shares.grad.isfinite().all()
        else:
            losses.append(weights.teach(step, progress, [{"slot": step % 3}]))
    return weights, losses


def tensors(weights: SharedWeights) -> dict[str, Tensor]:
    return {key: tensor.detach().clone() for key, tensor in weights.supernet.weights.items()}


def test_half_precision_is_near_and_leaves_weights_whole(data: TrainingData):
    (whole, losses), (half, halves) = taught(data), taught(data, precision="bfloat16")
    assert losses != halves and halves == pytest.approx(losses, abs=0.05)
    assert all(tensor.dtype == torch.float32 for tensor in tensors(half).values())
    assert whole.accuracy(0, {"slot": 0}) == pytest.approx(half.accuracy(0, {"slot": 0}), abs=0.1)


def test_only_the_head_learns_until_the_backbone_is_thawed(data: TrainingData):
    weights = SharedWeights(space(), data, recipe(frozen=0.5), seed=0)
    before = tensors(weights)
    for progress, learning in ((0.0, {"2"}), (0.49, {"2"}), (0.5, {"0", "1", "2"})):
        weights.teach(0, progress, [{"slot": 0}])
        after = tensors(weights)
        moved = {key.partition("/")[0] for key in after if not torch.equal(before[key], after[key])}
        assert moved == learning, f"rows that moved at {progress}; row 2 is the head"
        before = after


def test_the_recipes_batch_norm_is_every_childs(data: TrainingData):
    weights, losses = taught(data, norm=Norm(eps=0.5, momentum=0.2))
    norms = [each for each in weights.extract({"slot": 0}).modules() if isinstance(each, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.5, 0.2)}
    assert losses[0] != taught(data)[1][0], "an eps as large as a variance is seen in the first loss"


def test_there_are_no_statistics_to_take_anew(data: TrainingData):
    assert taught(data, norm_batches=4)[1] == taught(data)[1]


def test_a_model_that_is_compiled_anew_at_every_step_is_refused(data: TrainingData):
    with pytest.raises(InputError, match=r"recipe digits: compile is true, .* Give --set compile=false"):
        SharedWeights(space(), data, recipe(compile=True), seed=0)


def test_it_is_refused_before_anything_is_written(tmp_path: Path):
    words = ("search", "mobilenetv4_conv_32px", "digits", "--latency", "5ms", "--out", tmp_path / "run")
    for method in ("tunas", "tunas_one_stage"):
        refused(call(*words, "--method", method, "--set", "compile=true"), "compile is true", "--method that trains")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_with_a_way_out(data: TrainingData):
    weights = SharedWeights(space(), data, recipe(), seed=0)
    with torch.no_grad():
        next(iter(weights.supernet.weights.values())).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"the loss of the shared weights is nan at step 3; .+ --set optimizer.lr="):
        weights.teach(3, 0.0, [{"slot": 0}])


class OneChild:
    """Teaches one child; Ctrl-C strikes in the middle of a step."""

    def __init__(self, data: TrainingData, strike_at: int | None = None):
        self.weights, self.strike_at = SharedWeights(space(), data, recipe(), seed=0), strike_at
        self.steps_per_epoch = STEPS
        self.state_dict, self.load_state_dict = self.weights.state_dict, self.weights.load_state_dict

    def one_step(self, step: int, progress: float) -> float:
        if step == self.strike_at:
            os.kill(os.getpid(), signal.SIGINT)
        return self.weights.teach(step, progress, [{"slot": step % 3}])

    def row(self) -> dict[str, object]:
        return {}


def test_ctrl_c_waits_for_the_end_of_the_step(data: TrainingData, tmp_path: Path):
    given = {"bound": Bound(epochs=1), "on_step": lambda share, row: None}
    whole = OneChild(data)
    learn(whole, **given)
    with pytest.raises(KeyboardInterrupt):
        learn(OneChild(data, strike_at=2), folder=tmp_path, **given)
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == 3, "the step that was under way is whole and saved"
    resumed = OneChild(data)
    learn(resumed, folder=tmp_path, **given)
    mine, other = tensors(whole.weights), tensors(resumed.weights)
    assert all(torch.equal(mine[key], other[key]) for key in mine)
