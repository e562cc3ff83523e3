"""Training steps per second of one process and of two that share each batch, on the same cores, in turns.

python benchmarks/processes.py ../shared/data/cls_clothing10 --size 96
"""

import argparse
import json
import os
import socket
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pace
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.data import choose_input, detect
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.processes import joined_by_torchrun
from ridgepoint.train.recipe import load_recipe

CASES = {
    "1 process, 1 thread": {"count": 1, "threads": 1, "workers": 0},
    "1 process, 2 threads": {"count": 1, "threads": 2, "workers": 0},
    "1 process, 1 thread, 1 worker": {"count": 1, "threads": 1, "workers": 1},
    "2 processes, 1 thread each": {"count": 2, "threads": 1, "workers": 0},
}


def program(
    model: str, data: TrainingData, classes: int, rank: int, step_done: Callable[..., None],
    *, count: int, threads: int, workers: int, port: int,
) -> None:  # fmt: skip
    """Train as one of `count` processes, as torchrun would start them."""
    about = {"WORLD_SIZE": count, "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in about.items()})
    torch.set_num_threads(threads)
    network = load(model).at(channels=data.preprocessing.channels, height=data.preprocessing.height)
    with joined_by_torchrun():
        train(
            network.with_classes(classes),
            data,
            load_recipe("photographs"),
            bound=Bound(epochs=10**6),
            seed=0,
            workers=workers,
            on_step=step_done,
        )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mobilenetv3_small_050")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    dataset = detect(given.data)
    preprocessing, _ = choose_input(dataset, size=given.size)
    data = training_data(dataset, preprocessing)
    runners = {
        name: pace.start(
            partial(program, given.model, data, len(dataset.classes), port=free_port(), **case), count=case["count"]
        )
        for name, case in CASES.items()
    }
    seconds = pace.interleaved(runners, rounds=given.rounds, steps=given.steps)
    alone = statistics.median(seconds["1 process, 1 thread"])
    report = {
        "what": "training steps per second, a batch shared by processes or threads",
        "model": given.model,
        "size": given.size,
        "batch": load_recipe("photographs").batch_size,
        "rounds": given.rounds,
        "steps_per_round": given.steps,
        "torch": torch.__version__,
        **{
            name: {
                "steps_per_s": round(1 / statistics.median(each), 3),
                "slowest_and_fastest_round": [round(1 / max(each), 3), round(1 / min(each), 3)],
                "times_as_fast_as_one_thread": round(alone / statistics.median(each), 3),
            }
            for name, each in seconds.items()
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
