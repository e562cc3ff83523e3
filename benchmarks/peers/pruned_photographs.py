"""Published networks above a budget, brought under it by Torch-Pruning, then fine-tuned as `fit` and an engineer do.

At each of three resolutions one of those that take between the budget and twice as long, the one that needs the least
pruning or, with --best, the one with the best published accuracy, is pruned (group norm, channels in eights, which kept
most in `pruning.py`) at the smallest ratio whose exported file the clock puts within the budget, and fine-tuned by the
loop and the recipe of `train` for an equal part of the time; what validation likes best is told. To prune, to clock and
to export costs nothing. Beside `photographs.py`, whose budgets, seeds and time these are.

    pip install --no-deps -r benchmarks/peers/requirements.txt
    python benchmarks/peers/pruned_photographs.py PHOTOS --time 300 --seeds 0 1 2 --budgets 0.8 1.4 --table host.json
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
from pruning import RATIOS, pruned
from torch import nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load, top1
from ridgepoint.data import Dataset, choose_input, decode, detect
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.nn.build import build
from ridgepoint.nn.published import Published, published_weights
from ridgepoint.nn.reach import lying
from ridgepoint.nn.weights import load_weights
from ridgepoint.train.batches import training_data
from ridgepoint.train.loop import Bound, logits, train
from ridgepoint.train.recipe import load_recipe
from ridgepoint.train.start import of_published

SIZES, CLASSES, PRUNER = (96, 128, 160), 10, "group_norm_in_eights"


def at(name: str, size: int) -> Network:
    """A network of the zoo for these images."""
    return suited(load(name), channels=3, height=size, width=size, num_classes=CLASSES)


def above(size: int, budget: float, host: HostTable, *, best: bool) -> Published | None:
    """Weights whose network takes longer than the budget, at most twice: the most accurate, or the fastest."""
    rows = [row for row in published_weights() if row.licence.open and row.classes and not row.task and lying(row)]
    took = host.measure_networks({row.network: at(row.network, size) for row in rows})
    rows = [row for row in rows if budget < took[row.network] <= 2 * budget]
    return min(rows, key=lambda row: -top1(row.network) if best else took[row.network], default=None)


def weighted(row: Published, size: int) -> nn.Module:
    """The network with its weights; the classifier is fresh."""
    torch.manual_seed(0)
    model = build(at(row.network, size))
    load_weights(model, of_published(row).path)
    return model


def ms(model: nn.Module, size: int) -> float:
    """Milliseconds of the exported file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pruned.onnx"
        export_for_timing(model, at("mobilenetv2_100", size).input_shape, file)
        return measure({"pruned": file})["pruned"].ms


def within(row: Published, size: int, budget: float) -> tuple[float, float] | None:
    """The smallest ratio whose file is within the budget, and its milliseconds, by halving; None if none is."""
    low, high, found = 0, len(RATIOS), None
    while low < high:
        middle = (low + high) // 2
        if (took := ms(pruned(weighted(row, size), PRUNER, RATIOS[middle], size=size), size)) <= budget:
            high, found = middle, (RATIOS[middle], took)
        else:
            low = middle + 1
    return found


def tuned(dataset: Dataset, row: Published, size: int, ratio: float, *, seed: int, time_s: float) -> dict:
    """Accuracies after the training of `train --weights --recipe finetune`, of the pruned network."""
    preprocessing, _ = choose_input(dataset, size=size)
    preprocessing = of_published(row).prepared(preprocessing)
    data = training_data(dataset, preprocessing, keep=True)
    model = pruned(weighted(row, size), PRUNER, ratio, size=size)
    with mock.patch("ridgepoint.train.loop.build", lambda *network, **drops: model):
        done = train(at(row.network, size), data, load_recipe("finetune"), bound=Bound(seconds=time_s), seed=seed)
    test = decode(dataset.test, preprocessing, train=False)
    found = logits(done.model, test.images, preprocessing)
    right = (found.argmax(1) == test.labels).float().mean().item()
    return {"test": round(right, 4), "val": round(done.val_accuracy, 4), "steps": done.steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--time", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budgets", type=float, nargs="+", required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--best", action="store_true", help="start from the best published accuracy")
    given = parser.parse_args()
    torch.set_num_threads(1)
    host, rows = HostTable(path=given.table, busy=True), []
    for budget in given.budgets:
        chosen = {size: row for size in SIZES if (row := above(size, budget, host, best=given.best)) is not None}
        ratios = {size: found for size, row in chosen.items() if (found := within(row, size, budget)) is not None}
        for seed in given.seeds:
            tried = []
            for size, (ratio, took) in ratios.items():
                dataset = detect(given.data, seed=seed)
                told = tuned(dataset, chosen[size], size, ratio, seed=seed, time_s=given.time / len(ratios))
                told = {"network": chosen[size].network, "input": size, "ratio": round(ratio, 3)} | told
                tried.append(told | {"ms": round(took, 3)})
                print(json.dumps(tried[-1]), file=sys.stderr)
            kept = max(tried, key=lambda each: each["val"])
            rows.append({"who": "torch-pruning", "budget_ms": budget, "seed": seed, **kept, "tried": tried})
    print(json.dumps({"command": " ".join(sys.argv), "time_s": given.time, "rows": rows}))


if __name__ == "__main__":
    main()
