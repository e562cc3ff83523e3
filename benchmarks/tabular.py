"""A tabular benchmark: every member of a small space trained alike and clocked, so that searches compare in seconds.

Every member is trained from `--seeds` seeds on photographs of ten classes at 32 pixels and judged on all images that it
was not trained on; each network's exported file is clocked twice. Trainings go line by line to `--lines`, and
milliseconds to `--clock`: what is there is not done again. The table is printed as JSON. The clock needs a calm machine
for some minutes, trainings do not: with `--seeds 0` nothing is trained, and the table has no accuracies yet.

    python benchmarks/tabular.py tabular_uib PHOTOS --lines uib.jsonl --clock uib_ms.json --seeds 0 > latencies.json
    python benchmarks/tabular.py tabular_uib PHOTOS --lines uib.jsonl --clock uib_ms.json \
        > benchmarks/results/tabular_uib.json
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space, load_space
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, choose_input, decode, default_augmentation, detect
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.files import write_atomic
from ridgepoint.nn.build import build
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import load_recipe

SPACES = Path(__file__).parent / "spaces"
EPOCHS, SIZE = {"tabular_uib": 8, "tabular_metaformer": 6}, 32
TOGETHER, ROUNDS = 16, 10


def members(space: Space) -> dict[str, tuple[Assignment, Network]]:
    """Every network of the space once, by its digest, with the first assignment that gives it."""
    found: dict[str, tuple[Assignment, Network]] = {}
    for indices in itertools.product(*(range(len(choice.options)) for choice in space.choices)):
        picked = dict(zip((choice.name for choice in space.choices), indices, strict=True))
        assignment = space.complete(lambda choice, picked=picked: picked[choice.name])
        network = space.decode(assignment)
        found.setdefault(network.digest, (assignment, network))
    return found


def joined(one: ArraySplit, other: ArraySplit) -> ArraySplit:
    """The images of two parts as one."""
    images, labels = (torch.cat(pair) for pair in ((one.images, other.images), (one.labels, other.labels)))
    return ArraySplit(images, labels, one.ids + other.ids)


@dataclass
class Trainer:
    """Trains in a process of its own; the images are decoded once."""

    data: str

    def __post_init__(self) -> None:
        torch.set_num_threads(1)
        dataset = detect(self.data, seed=0)
        preprocessing, _ = choose_input(dataset, size=SIZE)
        self.images = TrainingData(
            train=decode(dataset.train, preprocessing, train=True),
            val=joined(*(decode(part, preprocessing, train=False) for part in (dataset.val, dataset.test))),
            preprocessing=preprocessing,
            augmentation=default_augmentation(dataset, preprocessing),
        )

    def __call__(self, network: Network, seed: int, epochs: int) -> dict:
        began = time.monotonic()
        recipe = load_recipe("small_images")
        done = train(
            network,
            self.images,
            recipe,
            bound=Bound(epochs=epochs),
            seed=seed,
            evaluations=1,
        )
        seconds = round(time.monotonic() - began, 2)
        return {"digest": network.digest, "seed": seed, "accuracy": round(done.val_accuracy, 5), "seconds": seconds}


_trainer: Trainer


def _start(data: str) -> None:
    global _trainer
    _trainer = Trainer(data)


def _train(task: tuple[Network, int, int]) -> dict:
    return _trainer(*task)


def trained(
    networks: list[Network], lines: Path, *, data: str, epochs: int, seeds: int, jobs: int
) -> dict[tuple[str, int], dict]:
    """Every training's line; those that the file holds are not done again."""
    known = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    done = {(line["digest"], line["seed"]): line for line in known}
    waiting = [(each, seed, epochs) for seed in range(seeds) for each in networks if (each.digest, seed) not in done]
    if not waiting:
        return done
    with get_context("forkserver").Pool(jobs, _start, (data,)) as pool, lines.open("a") as file:
        for line in pool.imap(_train, waiting):
            done[line["digest"], line["seed"]] = line
            print(json.dumps(line), file=file, flush=True)
            print(f"{len(done)} of {seeds * len(networks)} trained", file=sys.stderr)
    return done


def clocked(networks: list[Network], kept: Path) -> list[dict[str, float]]:
    """Milliseconds of every network's exported file, onnxruntime with one thread, by digest: all, then all again."""
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            files = {network.digest: Path(folder) / f"{network.digest}.onnx" for network in networks}
            for network in networks:
                export_for_timing(build(network), network.input_shape, files[network.digest])
            write_atomic(kept, json.dumps([clocked_once(files) for _ in range(2)]))
    return json.loads(kept.read_text())


def clocked_once(files: dict[str, Path]) -> dict[str, float]:
    found: dict[str, float] = {}
    for start in range(0, len(files), TOGETHER):
        group = dict(list(files.items())[start : start + TOGETHER])
        found |= {digest: latency.ms for digest, latency in measure(group, rounds=ROUNDS).items()}
        print(f"{len(found)} of {len(files)} clocked", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="a name in benchmarks/spaces")
    parser.add_argument("data")
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    found = members(load_space(SPACES / f"{given.space}.yaml"))
    networks = [network for _, network in found.values()]
    rounds = clocked(networks, given.clock)
    epochs = EPOCHS[given.space]
    lines = trained(networks, given.lines, data=given.data, epochs=epochs, seeds=given.seeds, jobs=given.jobs)
    rows = [
        {
            "assignment": assignment,
            "digest": digest,
            "accuracy": [lines[digest, seed]["accuracy"] for seed in range(given.seeds)],
            "ms": [round(each[digest], 5) for each in rounds],
            "macs": cost(network).macs,
        }
        for digest, (assignment, network) in found.items()
    ]
    head = {"command": " ".join(sys.argv), "space": given.space, "epochs": epochs, "recipe": "small_images"}
    print(json.dumps({**head, "size": SIZE, "members": len(rows)}, indent=1)[:-2] + ',\n "rows": [')
    print(",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]\n}")


if __name__ == "__main__":
    main()
