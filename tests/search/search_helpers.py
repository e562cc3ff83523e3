"""A small space with a judge that needs no training; run as a program, a search that can be killed."""

import hashlib
import sys
import time
from pathlib import Path

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.evolution import Evolution, uniform_starts
from ridgepoint.search.study import read_candidates


class MacsLatency:
    """A latency model: a millisecond for every million MACs. Remembers what it was asked."""

    def __init__(self):
        self.asked: list[str] = []

    def latency(self, network: Network) -> TabledLatency:
        self.asked.append(network.name)
        return TabledLatency(ms=macs_ms(network), device="paper", runtime="none", threads=1, rows=1)


def macs_ms(network: Network) -> float:
    return cost(network, form="deploy").macs / 1e6


def small_space() -> Space:
    row = {"block": "conv", "kernel": {"choice": [1, 3, 5]}, "out_channels": {"choice": [8, 16, 24, 32, 48]}}
    return parse_space(
        {
            "name": "small",
            "input": [3, 16, 16],
            "num_classes": 10,
            "stages": [{"depth": {"choice": [1, 2, 3]}, "blocks": [row, row, row]}],
        },
        source="small",
    )


def judged(name: str, network: Network, budget_ms: float, seed: int) -> Candidate:
    """Larger is better, with a little luck that depends on the network alone."""
    ms = macs_ms(network)
    candidate = Candidate(name=name, phase="search", network=network, seed=seed, tabled_ms=ms)
    if ms > budget_ms:
        return candidate
    luck = int(hashlib.sha256(network.digest.encode()).hexdigest()[:4], 16) / 0xFFFF
    return Candidate(
        name=name, phase="search", network=network, seed=seed, tabled_ms=ms,
        short_accuracy=0.9 * ms / budget_ms + 0.1 * luck,
    )  # fmt: skip


def search(run: Path, *, trials: int, seed: int = 0, budget_ms: float = 2.0, space: Space | None = None, judge=judged):
    """Search until there are so many trials."""
    evolution = Evolution(space or small_space(), budget_ms=budget_ms, seed=seed, run=run)
    evolution.start_with(uniform_starts(evolution.space, lambda network: macs_ms(network) <= budget_ms))
    while len([trial for trial in evolution.study.get_trials(deepcopy=False) if trial.state.is_finished()]) < trials:
        evolution.step(lambda name, network: judge(name, network, budget_ms, seed))
    return evolution


def journal(run: Path) -> list[tuple[object, ...]]:
    return [(c.name, c.network.digest, c.tabled_ms, c.short_accuracy, c.note) for c in read_candidates(run)]


def main(run: str, trials: str, space: str, pause_s: str) -> None:
    """A line on stdout whenever a judgement begins; judging takes `pause_s`."""

    def judge(name: str, network: Network, budget_ms: float, seed: int) -> Candidate:
        print(name, flush=True)
        time.sleep(float(pause_s))
        return judged(name, network, budget_ms, seed)

    search(Path(run), trials=int(trials), space=None if space == "small" else load_space(space), judge=judge)


if __name__ == "__main__":
    main(*sys.argv[1:])
