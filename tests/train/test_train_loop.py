"""The training loop: averages against hand computation, learning, bounds, the NaN guard."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn
from train_helpers import quick, same, small_network

from ridgepoint.arch.zoo import load
from ridgepoint.errors import DivergedError
from ridgepoint.nn.build import build
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.ema import Average
from ridgepoint.train.loop import Bound, logits, train
from ridgepoint.train.optimizer import SGD, AdamW, make_optimizer


def test_average_against_hand_computation():
    """The share that is kept is the smaller of the decay and (1 + n) / (10 + n) at the n-th update."""
    model = nn.BatchNorm1d(1)
    averaged = Average(model, 0.25)
    expected = None
    for count, value in enumerate([4.0, 8.0, 16.0, 0.0]):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(value)
            model.num_batches_tracked.fill_(count)
        averaged.update()
        keep = min(0.25, (1 + count) / (10 + count))
        expected = value if expected is None else keep * expected + (1 - keep) * value
        assert averaged.module.weight.item() == pytest.approx(expected)
        assert averaged.module.running_mean.item() == pytest.approx(expected), "statistics are averaged too"
        assert averaged.module.num_batches_tracked.item() == count, "a counter is not"
    # By hand: 4; 2/11 of 4 and 9/11 of 8; then a quarter is kept, for 3/12 and 4/13 are not below it.
    second = 4 * 2 / 11 + 8 * 9 / 11
    assert expected == pytest.approx((second / 4 + 16 * 3 / 4) / 4)


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "mobilenetv3_small_050"])
def test_norms_and_biases_are_not_decayed(name: str):
    model = build(load(name), num_classes=4)
    decayed, others = make_optimizer(model, AdamW(lr=1.0), ("norm", "bias", "gain")).param_groups
    assert decayed["weight_decay"] > 0 and others["weight_decay"] == 0.0
    of = {id(weight): name for name, weight in model.named_parameters()}
    kinds = {name: type(model.get_submodule(name.rpartition(".")[0])) for name in of.values()}
    for weight in decayed["params"]:
        assert issubclass(kinds[of[id(weight)]], nn.Conv2d | nn.Linear) and not of[id(weight)].endswith("bias")
    for weight in others["params"]:
        assert of[id(weight)].endswith("bias") or issubclass(kinds[of[id(weight)]], nn.BatchNorm2d)
    assert len(decayed["params"]) + len(others["params"]) == len(of)


def test_an_attention_bias_is_a_bias_even_as_a_table():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias, self.weight = nn.Parameter(torch.zeros(4, 9)), nn.Parameter(torch.zeros(4, 9))

    model = Attention()
    decayed, others = make_optimizer(model, AdamW(lr=1.0), ("bias",)).param_groups
    assert decayed["params"][0] is model.weight and others["params"][0] is model.bias


@pytest.mark.parametrize(
    "changes", [{"optimizer": AdamW(lr=0.02)}, {"optimizer": SGD(lr=0.1, nesterov=True), "weight_decay": 1e-4}], ids=str
)
def test_it_learns_the_digits(data: TrainingData, changes: dict[str, object]):
    """Ten classes: chance is 0.1. After eight epochs more than 0.85 of the images it has not seen are right."""
    recipe = quick(**changes)
    losses: list[float] = []
    done = train(
        small_network(), data, recipe, bound=Bound(epochs=8), seed=0, on_step=lambda p, r: losses.append(r["loss"])
    )
    assert done.val_accuracy > 0.85
    assert losses[-1] < 0.6 * losses[0]
    assert done.steps == len(losses) == 8 * (len(data.train) // 64)
    assert not done.model.training
    right = logits(done.model, data.val.images, data.preprocessing).argmax(1) == data.val.labels
    assert right.float().mean().item() == pytest.approx(done.val_accuracy), "what is returned is what was judged"


def test_validation_is_taken_as_often_as_asked_and_at_the_end(data: TrainingData):
    done = train(small_network(), data, quick(), bound=Bound(epochs=1), seed=0, evaluations=4)
    assert [row["step"] for row in done.history] == [4, 8, 12, 16]
    assert [row["progress"] for row in done.history] == [0.25, 0.5, 0.75, 1.0]
    assert done.history[-1]["val_accuracy"] == done.val_accuracy


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(data: TrainingData):
    first, second, other = (
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=seed, evaluations=1) for seed in (1, 1, 2)
    )
    assert same(first, second)
    assert not same(first, other)


def test_how_often_it_is_judged_does_not_change_the_weights(data: TrainingData):
    once, often = (
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=1, evaluations=count) for count in (1, 7)
    )
    assert same(once, often)


@pytest.mark.clock
def test_a_time_bound_is_kept(data: TrainingData):
    started = time.monotonic()
    done = train(small_network(), data, quick(), bound=Bound(seconds=1.5), seed=0)
    assert done.seconds == pytest.approx(1.5, rel=0.2)
    assert time.monotonic() - started == pytest.approx(done.seconds, abs=1.0)
    assert done.history[-1]["progress"] == 1.0
    assert done.history[-1]["learning_rate"] < 0.1 * quick().optimizer.lr, "the schedule reaches its end by the clock"


def test_a_loss_that_is_not_finite_stops_with_a_way_out(data: TrainingData):
    spoilt = replace(data, preprocessing=data.preprocessing.__class__(**{**_fields(data), "std": (1e-45,)}))
    with pytest.raises(DivergedError, match=r"the loss is nan at step 0; the batch holds .+ --set optimizer.lr="):
        train(small_network(), spoilt, quick(), bound=Bound(epochs=1), seed=0)


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights(data: TrainingData, monkeypatch):
    monkeypatch.setattr(nn.utils, "get_total_norm", lambda *given: torch.tensor(float("inf")))
    with pytest.raises(DivergedError, match="the norm of the gradient is inf at step 0"):
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=0)


def test_fewer_images_than_a_batch_are_one_batch(data: TrainingData):
    few = replace(data, train=_first(data.train, 12))
    assert train(small_network(), few, quick(), bound=Bound(epochs=3), seed=0).steps == 3


def _fields(data: TrainingData) -> dict[str, object]:
    return {name: getattr(data.preprocessing, name) for name in data.preprocessing.__struct_fields__}


def _first(split, count: int):
    return replace(split, images=split.images[:count], labels=split.labels[:count], ids=split.ids[:count])
