"""Searches that take milliseconds: accuracy is a formula of the network, latency a roofline, spaces are small."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from torch import Tensor

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.arch.network import Network
from ridgepoint.arch.shrink import narrowed
from ridgepoint.arch.space import Space, parse_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.roofline import Roofline
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Method, Problem, Proposal
from ridgepoint.search.methods import find_method
from ridgepoint.search.methods.entry import Entry, entry_of
from ridgepoint.search.study import Study
from ridgepoint.train.loop import Bound

EVALUATIONS = 18  # beyond the first generation of every method that comes with the package
DEVICE = "pixel6-cpu"
AnyMethod: TypeAlias = str | Entry | Method
"""A method by name, with what is known of it, or alone."""


@dataclass
class Formula:
    """A judge whose accuracy saturates with MACs, with a little luck that depends on the network alone.

    Attributes:
        pause_s: How long a judgement takes.
        said: Whether every candidate's name is printed when its judgement begins.
        judged: The names of the candidates that were judged.
    """

    pause_s: float = 0.0
    said: bool = False
    judged: list[str] = field(default_factory=list)

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """By the formula."""
        self.judged.append(candidate.name)
        if self.said:
            print(candidate.name, flush=True)
        time.sleep(self.pause_s)
        return Judgement(accuracy=accuracy(candidate.network), seconds=0.0)

    def weights(self, space: Space) -> "FormulaWeights":
        """For methods that teach all networks of a space at once."""
        return FormulaWeights(space)

    def as_long_as(self, candidates: int) -> Bound:
        """An epoch for a candidate."""
        return Bound(epochs=candidates)


@dataclass
class FormulaWeights:
    """Shared weights that know the formula and cannot learn."""

    space: Space
    steps_per_epoch: int = 4

    def teach(self, step: int, progress: float, child: list[Assignment]) -> float:
        """Nothing is learnt."""
        return 0.0

    def teach_mixed(self, step: int, progress: float, child: Assignment, shares: Mapping[str, Tensor]) -> float:
        """Options are better the later they stand."""
        loss = -sum((weights * weights.new_tensor(range(len(weights)))).sum() for weights in shares.values())
        assert isinstance(loss, Tensor)
        loss.backward()
        return loss.item()

    def accuracy(self, step: int, child: Assignment) -> float:
        """By the formula."""
        return accuracy(self.space.decode(child))

    def accuracy_on_all(self, child: Assignment) -> float:
        """By the formula."""
        return self.accuracy(0, child)

    def start_from(self, other: "FormulaWeights") -> None:
        """Nothing was learnt."""

    def state_dict(self) -> dict[str, object]:
        """Nothing was learnt."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Nothing was learnt."""


def accuracy(network: Network) -> float:
    """The formula."""
    luck = int(hashlib.sha256(network.digest.encode()).hexdigest()[:4], 16) / 0xFFFF
    macs = cost(network, form="deploy").macs
    return 0.9 * macs / (macs + 1e6) + 0.1 * luck


def small_space() -> Space:
    """3615 networks of one to three convolutions."""
    row = {"block": "conv", "kernel": {"choice": [1, 3, 5]}, "out_channels": {"choice": [8, 16, 24, 32, 48]}}
    return make_space([{"depth": {"choice": [1, 2, 3]}, "blocks": [row, row, row]}])


def make_space(stages: list[object], **more: object) -> Space:
    """A space of so many stages, for images of 16 px in ten classes."""
    raw = {"name": "small", "input": [3, 16, 16], "num_classes": 10, "stages": stages, **more}
    return parse_space(raw, source="small")


def space_of_one(space: Space) -> Space:
    """The part of a space in which every choice has its last option alone."""
    return Space(space.name, _last_options(space.template))


def _last_options(node: Any) -> Any:
    if isinstance(node, Choice):
        return Choice(node.name, (_last_options(node.options[-1]),))
    if isinstance(node, Mapping):
        return {key: _last_options(value) for key, value in node.items()}
    return [_last_options(value) for value in node] if isinstance(node, list) else node


def seed_network() -> Network:
    """The first stages of a small MobileNetV3, for images of 96 px in ten classes."""
    network = load("mobilenetv3_small_050").at(height=96).with_classes(10)
    return msgspec.structs.replace(network, stages=network.stages[:3])


def known(method: AnyMethod) -> Entry:
    """What is known of a method."""
    return find_method(method) if isinstance(method, str) else entry_of(method)


def example(method: AnyMethod) -> Space:
    """The small space that a method searches here."""
    make: Callable[[], Space] = known(method).example or small_space
    return make()


def make_problem(
    method: AnyMethod, *, budget_ms: float, seed: int = 0, evaluations: int = EVALUATIONS, **given: Any
) -> Problem:
    """The problem that a method takes: its example space, or the seed network; `given` are fields of `Problem`."""
    subject = {"space": example(method)} if known(method).takes == "space" else {"network": seed_network()}
    fields = {"latency": Roofline(DEVICE), "judge": Formula(), **subject, **given}
    return Problem(budget_ms=budget_ms, seed=seed, evaluations=evaluations, **fields)


def latencies(method: AnyMethod) -> tuple[float, float]:
    """Milliseconds of the fastest and of the slowest network that a method may return."""
    model = Roofline(DEVICE)
    if known(method).takes == "network":
        seed = seed_network()
        ends = [narrowed(seed, 0.0), seed]
    else:
        space = example(method)
        largest = space.decode(space.complete(lambda choice: len(choice.options) - 1))
        ends = [space.decode(smallest(space)), largest]
    return model.latency(ends[0]).ms, model.latency(ends[1]).ms


def middle(method: AnyMethod) -> float:
    """A budget between the two."""
    return float(np.sqrt(np.prod(latencies(method))))


def search(method: AnyMethod, problem: Problem, run: Path | None = None) -> list[Candidate]:
    """All candidates of a search; its journal is kept in a folder, or in memory."""
    return run_search(problem, known(method).method, Study(run))


def journal(candidates: Sequence[Candidate]) -> list[tuple[object, ...]]:
    """All of the candidates that follows from the problem and the method."""
    return [(c.name, c.network.digest, c.parent, c.estimated_ms, c.short_accuracy, c.seed, c.note) for c in candidates]
