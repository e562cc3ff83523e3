"""Images per second of `ridgepoint train` on the CPU and on the GPU of one machine, batches made as it makes them.

Every case trains for two epochs, in turns, `--rounds` times; the second one counts.

    python benchmarks/accelerators.py PHOTOS > benchmarks/results/accelerators.json
"""

import argparse
import json
import os
import statistics
import sys
import time
from itertools import product

import msgspec
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.data import choose_input, detect
from ridgepoint.train.accelerator import CPU, find_accelerator, told
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import Recipe, load_recipe


def images_per_s(name: str, data: TrainingData, recipe: Recipe, accelerator: torch.device, workers: int) -> float:
    """Of the second epoch of a training."""
    side, classes = data.preprocessing.height, int(data.train.labels.max()) + 1
    network = load(name).at(height=side).with_classes(classes)
    at: list[float] = []
    train(
        network,
        data,
        recipe,
        bound=Bound(epochs=2),
        seed=0,
        evaluations=1,
        accelerator=accelerator,
        workers=workers,
        on_step=lambda share, row: at.append(time.perf_counter()) if 0.5 <= share < 1 else None,
    )
    return (len(at) - 1) * recipe.batch_size / (at[-1] - at[0])


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--networks", nargs="+", default=["mobilenetv4_conv_small"])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    dataset = detect(given.data, seed=0)
    preprocessing, _ = choose_input(dataset, size=given.size)
    data = training_data(dataset, preprocessing)
    recipe = load_recipe("photographs")
    half = msgspec.structs.replace(recipe, precision="bfloat16")
    gpu = find_accelerator("cuda")
    several = os.cpu_count() or 1
    cases = {
        "cpu, float32": (recipe, CPU, 0),
        "gpu, float32, workers": (recipe, gpu, several - 1),
        "gpu, float32": (recipe, gpu, 0),
        "gpu, bfloat16": (half, gpu, 0),
    }
    found: dict[str, dict[str, list[float]]] = {name: {case: [] for case in cases} for name in given.networks}
    for _, name, (case, how) in product(range(given.rounds), given.networks, cases.items()):
        found[name][case].append(round(images_per_s(name, data, *how), 1))
        print(name, case, found[name][case][-1], file=sys.stderr)
    ratios = {
        name: {
            case: round(statistics.median(rates) / statistics.median(of["cpu, float32"]), 1)
            for case, rates in of.items()
        }
        for name, of in found.items()
    }
    head = {"command": " ".join(sys.argv), "torch": torch.__version__, "gpu": told(gpu), "cores": os.cpu_count()}
    head |= {"input": [given.size, given.size], "batch": recipe.batch_size, "recipe": "photographs"}
    print(json.dumps({**head, "images_per_s": found, "times_the_cpu": ratios}, indent=1))


if __name__ == "__main__":
    main()
