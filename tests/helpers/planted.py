"""A search problem whose answer is known: accuracy and latency are sums over the open choices of a small space."""

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space, parse_space
from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.seeds import seed_for


@cache
def planted_space(rows: int = 3) -> Space:
    """Up to `rows` UIBs of one width with a start depthwise and an expansion; 2 to `rows` of them."""
    uib = {
        "block": "uib",
        "start_kernel": {"choice": [0, 3, 5]},
        "middle_kernel": 3,
        "expand_ratio": {"choice": [2, 3, 4]},
        "out_channels": 8,
    }
    stage = {"depth": {"choice": list(range(2, rows + 1))}, "blocks": [uib] * rows}
    return parse_space({"name": "planted", "input": [3, 8, 8], "stages": [stage], "num_classes": 4}, source="planted")


@cache
def planted_members() -> list[Assignment]:
    """Every member of the planted space once."""
    return members(planted_space())


def members(space: Space) -> list[Assignment]:
    """Every member of a small space once."""
    every = itertools.product(*(range(len(choice.options)) for choice in space.choices))
    full = (dict(zip((c.name for c in space.choices), indices, strict=True)) for indices in every)
    open_only = (space.complete(lambda choice, each=each: each[choice.name]) for each in full)
    return list({tuple(sorted(each.items())): each for each in open_only}.values())


class Planted:
    """Weights that never change; every option of an open choice brings some accuracy and takes some milliseconds."""

    steps_per_epoch = 100

    def __init__(self, space: Space, *, seed: int = 0, noise: float = 0.02):
        rng = np.random.default_rng(seed)
        self.space, self.seed, self.noise = space, seed, noise
        self.gains = {c.name: rng.uniform(-0.04, 0.04, len(c.options)) for c in space.choices}
        self.costs = {c.name: rng.uniform(0.5, 2.0, len(c.options)) for c in space.choices}
        self.taught = 0
        self._children: dict[str, Assignment] = {}

    def child(self, network: Network) -> Assignment:
        """The assignment of a network; to find it takes milliseconds."""
        if network.digest not in self._children:
            self._children[network.digest] = self.space.encode(network)
        return self._children[network.digest]

    def true_accuracy(self, child: Mapping[str, int]) -> float:
        return 0.5 + float(sum(self.gains[name][index] for name, index in child.items()))

    def latency_ms(self, child: Mapping[str, int]) -> float:
        return 1.0 + float(sum(self.costs[name][index] for name, index in child.items()))

    def teach_mixed(self, step: int, progress: float, child: Assignment, shares: Mapping[str, Tensor]) -> float:
        loss = -sum((weights @ from_numpy(self.gains[name]).to(weights)) for name, weights in shares.items())
        loss.backward()
        return loss.item()

    def best(self, budget_ms: float) -> float:
        """The accuracy of the best member within a budget."""
        return max(self.true_accuracy(m) for m in planted_members() if self.latency_ms(m) <= budget_ms)

    def teach(self, step: int, progress: float, child: list[Assignment]) -> float:
        self.taught += 1
        return 0.0

    def accuracy(self, step: int, child: Assignment) -> float:
        luck = np.random.default_rng(seed_for(self.seed, step, sorted(child.items()))).normal(0.0, self.noise)
        return self.true_accuracy(child) + float(luck)

    def accuracy_on_all(self, child: Mapping[str, int]) -> float:
        return float(np.mean([self.accuracy(step, child) for step in range(16)]))

    def start_from(self, other: "Planted") -> None:
        self.began_from = other

    def state_dict(self) -> dict[str, Any]:
        return {"taught": self.taught}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.taught = state["taught"]


class PlantedJudge:
    """Judges a network by the planted accuracy of its assignment, with its noise."""

    def __init__(self, planted: Planted):
        self.planted = planted

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        return Judgement(accuracy=self.planted.accuracy(0, self.planted.child(candidate.network)), seconds=0.0)


class PlantedLatency:
    """Gives a network the planted latency of its assignment."""

    def __init__(self, planted: Planted):
        self.planted = planted

    def latency(self, network: Network) -> PredictedLatency:
        ms = self.planted.latency_ms(self.planted.child(network))
        return PredictedLatency(ms=ms, device="planted", method="planted", bytes_per_element=4)
