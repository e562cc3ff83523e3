"""What every search method must keep, on a judge that needs no training: run `check(name, folder)` for a new method.

Accuracy is a formula of the network, latency a roofline. Run as a program, it writes the journals of all methods:

    python contract.py FOLDER [PAUSE_S]
"""

import hashlib
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from torch import Tensor

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network
from ridgepoint.arch.shrink import narrowed
from ridgepoint.arch.space import Space, parse_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.cost.roofline import Roofline
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.driver import run_search
from ridgepoint.search.finalists import choose_finalists
from ridgepoint.search.judges import InTurn, Job, Verdict, verdict
from ridgepoint.search.method import Judgement, Problem, Proposal
from ridgepoint.search.methods import METHODS
from ridgepoint.search.methods.scaling import scaled
from ridgepoint.search.study import Study
from ridgepoint.train.loop import Bound

EVALUATIONS = 24  # beyond the first generation of every method
DEVICE = "pixel6-cpu"


@dataclass
class Formula:
    """A judge whose accuracy saturates with MACs, with a little luck that depends on the network alone."""

    pause_s: float = 0.0
    said: bool = False
    judged: list[str] = field(default_factory=list)

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        self.judged.append(candidate.name)
        if self.said:
            print(candidate.name, flush=True)
        time.sleep(self.pause_s)
        return Judgement(accuracy=accuracy(candidate.network), seconds=0.0)

    def weights(self, space: Space) -> "FormulaWeights":
        return FormulaWeights(space)

    def as_long_as(self, candidates: int) -> Bound:
        return Bound(epochs=candidates)


@dataclass
class FormulaWeights:
    """Shared weights that know the formula and cannot learn."""

    space: Space
    steps_per_epoch: int = 4

    def teach(self, step: int, progress: float, child: list[Assignment]) -> float:
        return 0.0

    def teach_mixed(self, step: int, progress: float, child: Assignment, shares: Mapping[str, Tensor]) -> float:
        """Options are better the later they stand."""
        loss = -sum((weights * weights.new_tensor(range(len(weights)))).sum() for weights in shares.values())
        loss.backward()
        return loss.item()

    def accuracy(self, step: int, child: Assignment) -> float:
        return accuracy(self.space.decode(child))

    def accuracy_on_all(self, child: Assignment) -> float:
        return self.accuracy(0, child)

    def start_from(self, other: "FormulaWeights") -> None:
        pass

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        pass


def accuracy(network: Network) -> float:
    luck = int(hashlib.sha256(network.digest.encode()).hexdigest()[:4], 16) / 0xFFFF
    macs = cost(network, form="deploy").macs
    return 0.9 * macs / (macs + 1e6) + 0.1 * luck


def small_space() -> Space:
    """3615 networks of one to three convolutions."""
    row = {"block": "conv", "kernel": {"choice": [1, 3, 5]}, "out_channels": {"choice": [8, 16, 24, 32, 48]}}
    return make_space([{"depth": {"choice": [1, 2, 3]}, "blocks": [row, row, row]}])


POOL = {"block": "pool_mixer", "expand_ratio": 2}
ATTENTION = {"block": "attention_mixer", "expand_ratio": 2, "heads": 2, "key_dim": 4, "value_dim": 8}


def metapath_space() -> Space:
    """1152 networks of two stages with three and two slots."""
    early, late = {"choice": [None, POOL]}, {"choice": [None, POOL, ATTENTION]}
    first = {"block": "conv", "kernel": 3, "out_channels": {"choice": [16, 32, 48, 64]}}
    second = {"block": "conv", "kernel": 3, "out_channels": {"choice": [32, 48, 64, 80]}, "stride": 2}
    return make_space([{"blocks": [first, early, early, early]}, {"blocks": [second, late, late]}], **TOKENS)


TOKENS = {"conventions": {"layer_scale": 0.1}, "head": {"head": "tokens", "distilled": False}}


def space_for(name: str) -> Space:
    return metapath_space() if name == "slimming" else small_space()


def space_of_one(name: str) -> Space:
    if name == "slimming":
        return make_space([{"blocks": [{"choice": [POOL]}]}], **TOKENS)
    return make_space([{"blocks": [{"block": "conv", "out_channels": {"choice": [8]}}]}])


def make_space(stages: list[object], **more: object) -> Space:
    raw = {"name": "small", "input": [3, 16, 16], "num_classes": 10, "stages": stages, **more}
    return parse_space(raw, source="small")


def seed_network() -> Network:
    network = load("mobilenetv3_small_050").at(height=96).with_classes(10)
    return msgspec.structs.replace(network, stages=network.stages[:3])


def make_problem(name: str, *, budget_ms: float, seed: int = 0, evaluations: int = EVALUATIONS, **given) -> Problem:
    """The problem that a method takes: the small space, or the seed network."""
    takes = METHODS[name].takes
    subject = {"space": space_for(name)} if takes == "space" else {"network": seed_network()}
    given = {"latency": Roofline(DEVICE), "judge": Formula(), **subject, **given}
    return Problem(budget_ms=budget_ms, seed=seed, evaluations=evaluations, **given)


def latencies(name: str) -> tuple[float, float]:
    """Of the fastest and the slowest network that a method may return."""
    model = Roofline(DEVICE)
    if METHODS[name].takes == "network":
        seed = seed_network()
        narrow = narrowed(seed, 0.0) if METHODS[name].trained else scaled(seed, 0.05, seed.input[1])
        ends = [narrow, seed]
    else:
        space = space_for(name)
        largest = space.decode(space.complete(lambda choice: len(choice.options) - 1))
        ends = [space.decode(smallest(space)), largest]
    return model.latency(ends[0]).ms, model.latency(ends[1]).ms


def middle(name: str) -> float:
    return float(np.sqrt(np.prod(latencies(name))))


def search(name: str, problem: Problem, run: Path | None = None) -> list[Candidate]:
    return run_search(problem, METHODS[name].method, Study(run))


def journal(candidates: list[Candidate]) -> list[tuple[object, ...]]:
    return [(c.name, c.network.digest, c.parent, c.estimated_ms, c.short_accuracy, c.seed, c.note) for c in candidates]


def check(name: str, folder: Path) -> None:
    """Everything that can be checked in this process; another process and kills are the tests' business."""
    check_determinism(name, folder)
    check_side_by_side(name)
    check_resume(name, folder)
    check_budget(name)
    check_going_on(name, folder)
    check_latencies(name)
    check_small_counts(name)
    check_space_of_one(name)


def check_determinism(name: str, folder: Path) -> None:
    first, again, other = (search(name, make_problem(name, budget_ms=middle(name), seed=seed)) for seed in (0, 0, 1))
    assert journal(first) == journal(again), "equal seeds, equal journals"
    if METHODS[name].takes == "space":
        found = [[(candidate.network.digest, candidate.note) for candidate in each] for each in (first, other)]
        assert found[0] != found[1], "another seed, others"


class Together(InTurn):
    """Is handed all that is proposed together, and judges the last of it first."""

    together = True

    def judge(self, jobs: Sequence[Job]) -> Generator[Verdict, None, None]:
        found = [verdict(self.only, job) for job in reversed(jobs)]
        yield from reversed(found)


def check_side_by_side(name: str) -> None:
    """What is judged side by side gives the journal of what is judged in turn."""
    in_turn, beside = (make_problem(name, budget_ms=middle(name)) for _ in range(2))
    candidates = run_search(beside, METHODS[name].method, Study(), judges=Together(beside.judge))
    assert journal(candidates) == journal(search(name, in_turn))


def check_resume(name: str, folder: Path) -> None:
    """Left after any number of candidates and taken up by a new process's objects: the same journal, nothing twice."""
    first = Formula()
    whole = search(name, make_problem(name, budget_ms=middle(name), judge=first))
    for left in sorted({0, 1, len(whole) // 2, len(whole)}):
        run = folder / f"{name}-{left}"
        run.mkdir()
        study = Study(run)
        for candidate in whole[:left]:
            study.record(candidate)
        then = Formula()
        assert journal(search(name, make_problem(name, budget_ms=middle(name), judge=then), run)) == journal(whole)
        assert then.judged == [judged for judged in first.judged if judged not in {c.name for c in whole[:left]}]
        assert journal(Study(run).candidates("search")) == journal(whole)


def check_budget(name: str) -> None:
    """Whatever the budget, what is returned is within it, by the table and by a clock that disagrees with the table."""
    for budget in np.geomspace(*latencies(name), 20):
        problem = make_problem(name, budget_ms=float(budget) * (1 + 1e-9), evaluations=6)
        candidates = search(name, problem)
        trained = [c for c in candidates if c.short_accuracy is not None]
        assert any(c.estimated_ms <= problem.budget_ms for c in trained), f"nothing within {budget} ms"
        slower = 1.03

        def clock(networks):
            return {key: slower * problem.ms(network) for key, network in networks.items()}  # noqa: B023

        finalists = choose_finalists(candidates, clock, limit_ms=problem.budget_ms, count=2, group=6, hedge=1.5)
        assert finalists.gap is not None and abs(finalists.gap - slower) < 1e-9
        for finalist in finalists.chosen:
            assert finalist.estimated_ms <= problem.budget_ms and finalist.measured_ms <= problem.budget_ms


def check_going_on(name: str, folder: Path) -> None:
    """Searched again for less: what is known is not judged anew, something within the smaller budget is; resumable."""
    first = search(name, make_problem(name, budget_ms=middle(name)))
    within = [each for each in first if each.short_accuracy is not None and each.estimated_ms <= middle(name)]
    best = max(within, key=lambda each: each.short_accuracy or 0.0)
    less = 0.9 * best.estimated_ms

    def further(run: Path | None, given: list[Candidate]) -> tuple[list[Candidate], Formula]:
        study, judge = Study(run), Formula()
        for candidate in given:
            study.record(candidate)
        problem = make_problem(name, budget_ms=less, evaluations=6, judge=judge, start=best)
        return run_search(problem, METHODS[name].method, study, earlier=len(first)), judge

    whole, judge = further(None, first)
    assert journal(whole[: len(first)]) == journal(first)
    assert [each.name for each in whole] == [f"candidate-{place:03d}" for place in range(len(whole))]
    assert any(each.short_accuracy is not None and each.estimated_ms <= less for each in whole[len(first) :])
    assert not {each.network.digest for each in first} & {
        each.network.digest for each in whole if each.name in judge.judged
    }
    run = folder / f"{name}-further"
    run.mkdir()
    left = whole[: (len(first) + len(whole)) // 2]
    again, rest = further(run, left)
    assert journal(again) == journal(whole)
    assert rest.judged == [judged for judged in judge.judged if judged not in {each.name for each in left}]


class Broken:
    """A latency model that measured nothing."""

    def __init__(self, ms: float):
        self.ms = ms

    def latency(self, network: Network) -> PredictedLatency:
        return PredictedLatency(ms=self.ms, device="none", method="none", bytes_per_element=4)


def check_latencies(name: str) -> None:
    for candidate in search(name, make_problem(name, budget_ms=middle(name))):
        assert candidate.predicted_ms is not None and candidate.predicted_ms > 0
        assert candidate.tabled_ms is None and candidate.measured_ms is None, "what was not measured is absent"
    for ms in (0.0, -1.0, float("nan"), float("inf")):
        try:
            search(name, make_problem(name, budget_ms=1.0, latency=Broken(ms)))
        except ValueError as error:
            assert "Allowed: a finite number above 0" in str(error)
        else:
            raise AssertionError(f"a latency of {ms} ms went through")


def check_small_counts(name: str) -> None:
    for evaluations in (1, 2, 3):
        problem = make_problem(name, budget_ms=middle(name), evaluations=evaluations)
        candidates = search(name, problem)
        trained = [c for c in candidates if c.short_accuracy is not None]
        assert any(c.estimated_ms <= problem.budget_ms for c in trained)


def check_space_of_one(name: str) -> None:
    """A space of one network gives that network; a network within the budget is among what is returned."""
    if METHODS[name].takes == "network":
        candidates = search(name, make_problem(name, budget_ms=2 * latencies(name)[1], evaluations=2))
        assert candidates and all(c.estimated_ms <= 2 * latencies(name)[1] for c in candidates)
        return
    space = space_of_one(name)
    (candidate,) = search(name, make_problem(name, budget_ms=1e6, space=space))
    assert msgspec.structs.replace(candidate.network, name="small") == space.decode(smallest(space))


def main(folder: str, pause_s: str = "0") -> None:
    """A line on stdout whenever a judgement begins."""
    for name in METHODS:
        run = Path(folder) / name
        run.mkdir(parents=True, exist_ok=True)
        judge = Formula(pause_s=float(pause_s), said=True)
        search(name, make_problem(name, budget_ms=middle(name), judge=judge), run)


if __name__ == "__main__":
    main(*sys.argv[1:])
