"""What detectors and segmenters learn in so many seconds of one core, by seed.

    python benchmarks/learnt.py ../shared/data/det_bccd --cpu-s 150 --seeds 0 1 2
    python benchmarks/learnt.py ../shared/data/seg_nuclei --cpu-s 180 --into benchmarks/results/learnt.json
    python benchmarks/learnt.py ../shared/data/det_bccd --cpu-s 150 --network tf_mobilenetv2_100 --weights FILE

Each training is that of `ridgepoint train NETWORK DATA --time`, but its time is the processor's: whatever else the
machine does takes nothing from it. Steps with all that belongs to them count; decoding the images, once, does not. The
score is that of the images that the folder sets aside, which no step sees. `--into` adds rows to a file, in place of
those of the same data, network, weights, size, seconds, changes, seed and processor. Printed as JSON.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.data import Dataset, Preprocessing, decode
from ridgepoint.privacy import keep_private
from ridgepoint.tasks.reading import read
from ridgepoint.tasks.task import Task
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.batches import training_data
from ridgepoint.train.loop import Bound, Trained, logits, train
from ridgepoint.train.recipe import Recipe, load_recipe, parse_changes
from ridgepoint.train.score import Score
from ridgepoint.train.start import start_from

KEYS = ("data", "network", "weights", "size", "cpu_s", "changes", "seed", "processor")


@dataclass(frozen=True, kw_only=True)
class Processor(Bound):
    """Ends a training after so many seconds of this process, counted from `start`."""

    cpu_s: float
    start: float

    def progress(self, step: int, steps_per_epoch: int, elapsed_s: float) -> float:
        """See `Bound`."""
        return min((time.process_time() - self.start) / self.cpu_s, 1.0)


def main() -> None:
    keep_private()
    torch.set_num_threads(1)
    options = parse()
    rows = json.loads(options.into.read_text())["rows"] if options.into and options.into.exists() else []
    by_key = {tuple(str(row[key]) for key in KEYS): row for row in rows}
    for seed in options.seeds:
        row = learnt(options, seed)
        print(json.dumps(row), file=sys.stderr, flush=True)
        by_key[tuple(str(row[key]) for key in KEYS)] = row
        if options.into:
            options.into.write_text(document(by_key))
    print(document(by_key))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder of boxes or masks")
    parser.add_argument("--cpu-s", type=float, default=150.0)
    parser.add_argument("--network", default="mobilenetv4_conv_small")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int)
    parser.add_argument("--set", dest="changes", action="append", default=[], help="a field of the recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--into", type=Path)
    return parser.parse_args()


def document(rows: dict[tuple[str, ...], dict[str, Any]]) -> str:
    command = "benchmarks/learnt.py DATA --cpu-s CPU_S --network NETWORK --weights WEIGHTS --seeds SEED, as a row says"
    about = {"command": command, "torch": torch.__version__}
    lines = ",\n".join(f"  {json.dumps(row)}" for _, row in sorted(rows.items()))
    return f'{{\n "about": {json.dumps(about)},\n "rows": [\n{lines}\n ]\n}}\n'


def taught(
    task: Task, data: Dataset, network: Network, preprocessing: Preprocessing, recipe: Recipe, **bound: Any
) -> tuple[Trained, Score]:
    """A training, and what the images set aside say; `bound` has seconds, seed and weights: cpu_s, seed, initial."""
    images = training_data(data, preprocessing, augmentation=task.augmentation(data, preprocessing), keep=True)
    done = train(
        network,
        images,
        recipe,
        bound=Processor(cpu_s=bound["cpu_s"], start=time.process_time()),
        seed=bound["seed"],
        initial=bound["initial"],
        batches=task.batches(images, recipe, outputs=network.num_classes, seed=bound["seed"], accelerator=CPU),
        loss=task.loss(recipe),
        score=task.score,
        evaluations=1,
    )
    test = decode(data.test, preprocessing, train=False)
    return done, task.score(logits(done.model, test.images, preprocessing), test.labels)


def learnt(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """A row: one training."""
    task, data = read(options.data, seed=seed)
    start = None if options.weights is None else start_from(options.weights, network=options.network)
    preprocessing, _ = task.input(data, options.size)
    preprocessing = preprocessing if start is None else start.prepared(preprocessing)
    side = preprocessing.height
    network = task.head(data).close(load(options.network).at(channels=preprocessing.channels, height=side))
    recipe = load_recipe(task.recipe(side, trained=start is not None), parse_changes(options.changes))
    initial = None if start is None else start.path
    done, found = taught(task, data, network, preprocessing, recipe, cpu_s=options.cpu_s, seed=seed, initial=initial)
    return {
        "data": data.name,
        "network": options.network,
        "weights": None if start is None else start.name,
        "size": preprocessing.height,
        "cpu_s": options.cpu_s,
        "changes": " ".join(options.changes),
        "seed": seed,
        "processor": cpu_name(),
        "images": {name: len(getattr(data, name)) for name in ("train", "val", "test")},
        "steps": done.steps,
        "epochs": round(done.epochs, 1),
        "wall_s": round(done.seconds),
        "metric": task.metric,
        "score": round(found.value, 4),
        "val": round(done.val_accuracy, 4),
        "by_label": dict(zip(data.classes, [each and round(each, 3) for each in found.by_label], strict=True)),
        "parts": {name: round(value, 4) for name, value in found.parts.items()},
        "loss": round(done.history[-1]["loss"], 3),
    }


if __name__ == "__main__":
    main()
