"""TuNAS beside once-for-all's evolution, NNI's ProxylessNAS and random search: one space, one budget, one recipe.

The space is that of once-for-all's MobileNetV3 at half the width, one or two blocks a stage, at 32 pixels. Every search
learns from the same training photographs, judges by the same validation photographs and asks the same latency model:
blocks of the space clocked on this machine, onnxruntime with one thread. The budget is the lower quartile of the space.
Shared weights learn for `EPOCHS` epochs by one recipe; random search trains `EPOCHS / SHORT` members for `SHORT` epochs
each. What a search ends on is trained anew, all alike, and judged on photographs that no search saw; at the end the
exported files are clocked side by side.

Everything goes piece by piece to `--lines`: what is there is not done again. With `--search` nothing is clocked yet.
`seconds` are the processor's, one thread.

    pip install --no-deps -r benchmarks/peers/requirements.txt
    python benchmarks/peers/searches.py PHOTOS --lines peers.jsonl > benchmarks/results/peers.json
"""

import argparse
import itertools
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nni_search
import numpy as np
import ofa_search
import torch
from problem import Problem

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space, load_space
from ridgepoint.data import ArraySplit, choose_input, decode, detect
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.search.methods.tunas import Job, tunas
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound, Trained, logits, train
from ridgepoint.train.recipe import load_recipe

EPOCHS, SHORT, FINAL = 10, 2, 12
MEMBERS, QUANTILE = 300, 0.25


def ours(problem: Problem) -> tuple[Assignment, dict]:
    """TuNAS in one stage, with its defaults."""
    found = tunas(
        Job(
            space=problem.space,
            weights=lambda part: SharedWeights(part, problem.images, problem.recipe, seed=problem.seed),
            latency_ms=problem.latency_ms,
            budget_ms=problem.budget_ms,
            seed=problem.seed,
            bound=Bound(epochs=problem.epochs),
            folder=problem.folder,
        )
    )
    return found.assignments[0], {"most_probable_ms": round(problem.latency_ms(found.most_probable), 5)}


def random(problem: Problem) -> tuple[Assignment, dict]:
    """The best of as many members within the budget as the same epochs can train."""
    rng = np.random.default_rng(problem.seed)
    drawn = (problem.space.sample_assignment(rng) for _ in itertools.count())
    within = (each for each in drawn if problem.latency_ms(each) <= problem.budget_ms)
    chosen = itertools.islice(within, EPOCHS // SHORT)
    tried = [(trained(problem, each, SHORT, problem.seed).val_accuracy, each) for each in chosen]
    return max(tried, key=lambda each: each[0])[1], {"trained": len(tried)}


SEARCHES: dict[str, Callable[[Problem], tuple[Assignment, dict]]] = {
    "ridgepoint TuNAS": ours,
    "once-for-all evolution": ofa_search.search,
    "NNI ProxylessNAS": nni_search.search,
    "random": random,
}


def trained(problem: Problem, assignment: Assignment, epochs: int, seed: int) -> Trained:
    """A member trained from scratch."""
    return train(
        problem.space.decode(assignment),
        problem.images,
        problem.recipe,
        bound=Bound(epochs=epochs),
        seed=seed,
        evaluations=1,
    )


class Latencies:
    """The table's latency of members, each asked for once."""

    def __init__(self, space: Space, table: Path | None):
        self.space, self.host = space, HostTable(runtime="onnxruntime", threads=1, path=table)
        self.known: dict[str, float] = {}

    def __call__(self, assignment: Assignment) -> float:
        key = json.dumps(assignment, sort_keys=True)
        if key not in self.known:
            self.known[key] = self.host.latency(self.space.decode(assignment)).ms
        return self.known[key]


def photographs(data: str, size: int) -> tuple[TrainingData, ArraySplit]:
    """Images to search with, and untouched ones."""
    dataset = detect(data, seed=0)
    preprocessing, _ = choose_input(dataset, size=size)
    images = training_data(dataset, preprocessing, keep=True)
    return images, decode(dataset.test, preprocessing, train=False, keep=True)


class Lines:
    """Pieces of work and what they gave, in a file that grows; a piece that it holds is not done again."""

    def __init__(self, path: Path):
        self.path = path
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        with self.path.open("a") as file:
            print(json.dumps(row), file=file)

    def once(self, piece: str, work: Callable[[], dict]) -> dict:
        """What a piece gave, with the processor's seconds, those of attempts that were killed included."""
        if not self.of(piece, "gave"):
            began = time.process_time()
            try:
                given = work()
            finally:
                self.add(piece=piece, seconds=time.process_time() - began)
            self.add(piece=piece, gave=given)
            print(piece, file=sys.stderr)
        return {**self.of(piece, "gave")[0], "seconds": round(sum(self.of(piece, "seconds")), 1)}

    def of(self, piece: str, key: str) -> list:
        return [row[key] for row in self.rows if row["piece"] == piece and key in row]


def row_of(name: str, problem: Problem, test: ArraySplit, repeats: int, lines: Lines) -> dict:
    """A search, and what its result learns."""

    def search() -> dict:
        problem.folder.mkdir(parents=True, exist_ok=True)
        assignment, told = SEARCHES[name](problem)
        return {"assignment": assignment, "tabled_ms": round(problem.latency_ms(assignment), 5), **told}

    def learn(seed: int) -> dict:
        model = trained(problem, found["assignment"], FINAL, seed=seed).model
        right = logits(model, test.images, problem.images.preprocessing).argmax(1) == test.labels
        return {"accuracy": round(right.float().mean().item(), 5)}

    found = lines.once(f"{name}, seed {problem.seed}", search)
    learnt = [
        lines.once(f"{name}, seed {problem.seed}, training {repeat}", lambda repeat=repeat: learn(repeat))
        for repeat in range(repeats)
    ]
    return {"search": name, "seed": problem.seed, **found, "test_accuracy": [each["accuracy"] for each in learnt]}


def clocked(space: Space, rows: list[dict], host: HostTable) -> list[dict]:
    """The rows with the latency of their exported files, clocked side by side."""
    networks: dict[str, Network] = {f"{row['search']} {row['seed']}": space.decode(row["assignment"]) for row in rows}
    found = host.clock(networks)
    return [{**row, "measured_ms": round(found[f"{row['search']} {row['seed']}"].ms, 5)} for row in rows]


def summarised(rows: list[dict]) -> dict[str, float]:
    """Means over the seeds, and the standard error of that of the accuracy."""
    accuracies = [float(np.mean(row["test_accuracy"])) for row in rows]
    found = {"test_accuracy": statistics.mean(accuracies)}
    found |= {"test_accuracy_error": statistics.stdev(accuracies) / len(rows) ** 0.5}
    found |= {key: statistics.mean(row[key] for row in rows) for key in ("measured_ms", "tabled_ms", "seconds")}
    return {key: round(value, 5) for key, value in found.items()}


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="of block latencies; by default this machine's")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2, help="trainings of every result")
    parser.add_argument("--search", action="store_true", help="only search and train")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the seconds of a killed piece are kept
    torch.set_num_threads(1)
    space = load_space(Path(__file__).parents[1] / "spaces" / "ofa_mobilenetv3_half.yaml")
    latency_ms = Latencies(space, given.table)
    rng = np.random.default_rng(0)
    budget_ms = float(np.quantile([latency_ms(space.sample_assignment(rng)) for _ in range(MEMBERS)], QUANTILE))
    images, test = photographs(given.data, space.template["input"][1])
    common = {"space": space, "images": images, "recipe": load_recipe("small_images"), "latency_ms": latency_ms}
    lines = Lines(given.lines)
    rows = []
    for seed, name in itertools.product(range(given.seeds), SEARCHES):
        folder = given.lines.with_suffix("") / f"{name} {seed}"
        problem = Problem(**common, budget_ms=budget_ms, epochs=EPOCHS, seed=seed, folder=folder)
        rows.append(row_of(name, problem, test, given.repeats, lines))
    if given.search:
        return
    rows = clocked(space, rows, latency_ms.host)
    summary = {name: summarised([row for row in rows if row["search"] == name]) for name in SEARCHES}
    options = f"--seeds {given.seeds} --repeats {given.repeats}"
    head = {"command": f"python benchmarks/peers/searches.py PHOTOS --lines peers.jsonl {options}", "space": space.name}
    head |= {"epochs": EPOCHS, "final_epochs": FINAL, "recipe": "small_images", "test_images": len(test)}
    head |= {"torch": torch.__version__}
    print(json.dumps({**head, "budget_ms": round(budget_ms, 5), "mean": summary, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
