"""What a recipe can ask beside the steps: a frozen backbone, new statistics, half precision, a compiled model."""

import csv
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn
from train_helpers import quick, same, small_network

from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.train import loop
from ridgepoint.train.batches import AugmentedBatches, TrainingData
from ridgepoint.train.freeze import reestimate_norms
from ridgepoint.train.loop import BEST, Bound, logits, train
from ridgepoint.train.metrics import METRICS, TABLE
from ridgepoint.train.recipe import Norm, load_recipe


def backbone(model: BuiltNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("head.")}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


def test_a_frozen_backbone_keeps_weights_and_statistics_until_it_is_thawed(data: TrainingData, monkeypatch):
    seen, one_step = [], loop._Run.one_step

    def watched(run, *given: object) -> None:
        before, head = backbone(run.model), run.model.head.state_dict()
        head = {name: value.clone() for name, value in head.items()}
        one_step(run, *given)
        seen.append((equal(before, backbone(run.model)), equal(head, run.model.head.state_dict())))

    monkeypatch.setattr(loop._Run, "one_step", watched)
    done = train(small_network(), data, quick(frozen=0.5), bound=Bound(epochs=1), seed=0)
    assert seen == [(True, False)] * 8 + [(False, False)] * 8
    assert all(weight.requires_grad for weight in done.model.parameters())


def test_statistics_taken_anew_are_plain_means_over_the_images(data: TrainingData):
    model = build(small_network())
    batches = AugmentedBatches(data, quick(), num_classes=10, seed=0)
    first = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    inputs: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    momentum = first.momentum
    reestimate_norms(model, batches, range(3))
    means = torch.stack([x.mean((0, 2, 3)) for x in inputs])
    torch.testing.assert_close(first.running_mean, means.mean(0))
    assert len(inputs) == 3 and first.momentum == momentum


@pytest.mark.parametrize("frozen", [0.0, 0.5])
def test_kept_statistics_stay_while_gains_learn(frozen: float, data: TrainingData, tmp_path: Path):
    torch.manual_seed(0)
    given = build(small_network())
    for module in given.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    save_weights(given, tmp_path / "given.safetensors")
    recipe = quick(norm_statistics="kept", frozen=frozen)
    initial = str(tmp_path / "given.safetensors")
    done = train(small_network(), data, recipe, bound=Bound(epochs=1), seed=0, initial=initial)
    before, after = given.state_dict(), done.model.state_dict()
    norms = [name for name, module in given.named_modules() if isinstance(module, nn.BatchNorm2d)]
    for name in norms:
        assert torch.equal(before[f"{name}.running_mean"], after[f"{name}.running_mean"])
        assert not torch.equal(before[f"{name}.weight"], after[f"{name}.weight"])


def test_what_is_shipped_has_its_statistics_taken_anew_once(data: TrainingData, tmp_path: Path):
    given = dict(bound=Bound(epochs=1), seed=0, folder=tmp_path)
    plain = train(small_network(), data, quick(), bound=Bound(epochs=1), seed=0)
    done = train(small_network(), data, quick(norm_batches=4), **given)
    assert not same(plain, done)
    weights = [dict(each.model.named_parameters()) for each in (plain, done)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0]), "only statistics have changed"
    again = train(small_network(), data, quick(norm_batches=4), **given)
    assert same(done, again) and done.history == again.history


def test_the_recipes_batch_norm_becomes_the_networks(data: TrainingData):
    done = train(small_network(), data, quick(norm=Norm(eps=1e-3, momentum=0.2)), bound=Bound(epochs=1), seed=0)
    norms = [module for module in done.model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.2)}
    assert done.model.network.conventions.norm_eps == 1e-3, "so that it is exported with it"


def test_the_best_weights_and_all_metrics_are_kept(data: TrainingData, tmp_path: Path):
    done = train(small_network(), data, quick(), bound=Bound(epochs=4), seed=0, folder=tmp_path)
    best = build(small_network())
    load_weights(best, tmp_path / BEST)
    right = logits(best, data.val.images, data.preprocessing).argmax(1) == data.val.labels
    assert right.float().mean().item() == pytest.approx(max(row["val_accuracy"] for row in done.history))
    rows = [msgspec.json.decode(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    table = list(csv.DictReader((tmp_path / TABLE).open()))
    assert [row["step"] for row in rows] == [int(row["step"]) for row in table]
    assert [str(row.get("val_accuracy", "")) for row in rows] == [row["val_accuracy"] for row in table]
    assert {"loss", "learning_rate", "weight_decay", "resolution", "progress", "elapsed_s"} <= rows[0].keys()
    assert len(rows) > 3 * len(done.history)


def test_half_precision_is_near_and_leaves_weights_whole(data: TrainingData):
    whole, half = (
        train(small_network(), data, quick(precision=precision), bound=Bound(epochs=1), seed=0, evaluations=1)
        for precision in ("float32", "bfloat16")
    )
    assert not same(whole, half)
    assert whole.history[-1]["loss"] == pytest.approx(half.history[-1]["loss"], abs=0.05)
    assert all(weight.dtype == torch.float32 for weight in half.model.parameters())


def test_a_compiled_model_learns_the_same(data: TrainingData):
    head = msgspec.structs.replace(small_network().head, conv_channels=None)
    network = msgspec.structs.replace(small_network(), stages=(), head=head)  # every layer is compiled for seconds
    recipes = [quick(compile=compile, dropout=0.0, stochastic_depth=0.0) for compile in (False, True)]
    plain, compiled = (train(network, data, recipe, bound=Bound(epochs=1), seed=0) for recipe in recipes)
    assert plain.history[-1]["loss"] == pytest.approx(compiled.history[-1]["loss"], abs=0.01)


@pytest.mark.parametrize("name", ["mobileone_s2", "mobilenetv4_conv_large"])
def test_weight_decay_and_resolution_are_told_as_they_were(data: TrainingData, name: str):
    recipe = load_recipe(name, {"batch_size": 64, "precision": "float32"})
    done = train(small_network(), data, recipe, bound=Bound(epochs=1), seed=0, evaluations=16)
    for row in done.history:
        before = (row["step"] - 1) / 16
        assert row["weight_decay"] == recipe.decay(before) and row["learning_rate"] == recipe.lr(before, 64)
    sizes = [row["resolution"] for row in done.history]
    expected = {"mobileone_s2": {8, 16}, "mobilenetv4_conv_large": {16}}[name]
    assert set(sizes) == expected and sizes == sorted(sizes)
