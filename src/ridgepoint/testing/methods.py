"""What every search method keeps: `check(method, folder)` raises AssertionError where one does not.

    from ridgepoint.testing.methods import check

    def test_my_method(tmp_path):
        check(my_method, tmp_path)

Searches need no training (see `ridgepoint.testing.problems`). Run as a program, it writes the journals of methods, for
tests that kill it:

    python -m ridgepoint.testing.methods FOLDER PAUSE_S NAME...
"""

import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ridgepoint.arch.network import Network
from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.driver import run_search
from ridgepoint.search.finalists import choose_finalists
from ridgepoint.search.judges import InTurn, Job, Verdict, verdict
from ridgepoint.search.method import Problem
from ridgepoint.search.study import Study
from ridgepoint.testing.problems import (
    AnyMethod,
    Formula,
    example,
    journal,
    known,
    latencies,
    make_problem,
    middle,
    search,
    space_of_one,
)

SLOWER = 1.03  # by the clock than by the table
BUDGETS = 4  # from one that only the fastest network meets to one that all meet


def check(method: AnyMethod, folder: Path) -> None:
    """Everything that can be checked in this process; other processes and kills are the tests' business.

    Args:
        method: A name, an `Entry`, or a function that searches spaces.
        folder: An empty one, for journals.

    Raises:
        AssertionError: If the method breaks a rule.
    """
    judge = Formula()
    whole = search(method, make_problem(method, budget_ms=middle(method), judge=judge))
    check_determinism(method, whole)
    check_side_by_side(method, whole)
    check_resume(method, whole, judge.judged, folder)
    check_budget(method)
    check_going_on(method, whole)
    check_latencies(method, whole)
    check_small_counts(method)
    check_space_of_one(method)


def check_determinism(method: AnyMethod, whole: Sequence[Candidate]) -> None:
    """Equal seeds give equal journals; in a space, another seed gives another one."""
    assert journal(search(method, make_problem(method, budget_ms=middle(method)))) == journal(whole), "equal seeds"
    if known(method).takes == "space":
        other = search(method, make_problem(method, budget_ms=middle(method), seed=1))
        found = [[(candidate.network.digest, candidate.note) for candidate in each] for each in (whole, other)]
        assert found[0] != found[1], "another seed, others"


class Together(InTurn):
    """Is handed all that is proposed together, and judges the last of it first."""

    together = True

    def judge(self, jobs: Sequence[Job]) -> Generator[Verdict, None, None]:
        """The last one first."""
        found = [verdict(self.only, job) for job in reversed(jobs)]
        yield from reversed(found)


def check_side_by_side(method: AnyMethod, whole: Sequence[Candidate]) -> None:
    """What is judged side by side gives the journal of what is judged in turn."""
    beside = make_problem(method, budget_ms=middle(method))
    candidates = run_search(beside, known(method).method, Study(), judges=Together(beside.judge))
    assert journal(candidates) == journal(whole), "side by side as in turn"


def check_resume(method: AnyMethod, whole: Sequence[Candidate], judged: Sequence[str], folder: Path) -> None:
    """Left after any number of candidates and taken up by new objects: the same journal, nothing twice."""
    for left in sorted({1, len(whole) // 2, len(whole)}):
        run = folder if left == len(whole) // 2 else None  # what is written to a disk takes most of the time
        study = Study(run)
        for candidate in whole[:left]:
            study.record(candidate)
        study, then = study if run is None else Study(run), Formula()
        again = run_search(make_problem(method, budget_ms=middle(method), judge=then), known(method).method, study)
        assert journal(again) == journal(whole), f"resumed after {left} candidates: another journal"
        assert then.judged == [name for name in judged if name not in {c.name for c in whole[:left]}]
        assert journal(study.candidates("search")) == journal(whole)


def check_budget(method: AnyMethod) -> None:
    """Whatever the budget, what is returned is within it, by the table and by a clock that disagrees with the table."""
    for budget in np.geomspace(*latencies(method), BUDGETS):
        problem = make_problem(method, budget_ms=float(budget) * (1 + 1e-9), evaluations=6)
        candidates = search(method, problem)
        assert _trained_within(candidates, problem.budget_ms), f"nothing within {budget} ms"

        def clock(networks: Mapping[str, Network], problem: Problem = problem) -> dict[str, float]:
            return {key: SLOWER * problem.ms(network) for key, network in networks.items()}

        finalists = choose_finalists(candidates, clock, limit_ms=problem.budget_ms, count=2, group=6, hedge=1.5)
        assert finalists.gap is not None and abs(finalists.gap - SLOWER) < 1e-9
        for finalist in finalists.chosen:
            for ms in (finalist.estimated_ms, finalist.measured_ms):
                assert ms is not None and ms <= problem.budget_ms, f"{finalist.name} is over the budget"


def check_going_on(method: AnyMethod, first: Sequence[Candidate]) -> None:
    """Searched again for less: what is known is not judged anew, something within the smaller budget is; resumable."""
    best = max(_trained_within(first, middle(method)), key=lambda each: each.short_accuracy or 0.0)
    assert best.estimated_ms is not None
    less = 0.9 * best.estimated_ms

    def further(given: Sequence[Candidate]) -> tuple[list[Candidate], Formula]:
        study, judge = Study(), Formula()
        for candidate in given:
            study.record(candidate)
        problem = make_problem(method, budget_ms=less, evaluations=6, judge=judge, start=best)
        return run_search(problem, known(method).method, study, earlier=len(first)), judge

    whole, judge = further(first)
    assert journal(whole[: len(first)]) == journal(first)
    assert [each.name for each in whole] == [f"candidate-{place:03d}" for place in range(len(whole))]
    assert _trained_within(whole[len(first) :], less), "nothing within the smaller budget"
    judged = {each.network.digest for each in whole if each.name in judge.judged}
    assert not judged & {each.network.digest for each in first}, "what was known is judged anew"
    left = whole[: (len(first) + len(whole)) // 2]
    again, rest = further(left)
    assert journal(again) == journal(whole)
    assert rest.judged == [judged for judged in judge.judged if judged not in {each.name for each in left}]


class Broken:
    """A latency model that measured nothing."""

    def __init__(self, ms: float):
        self.ms = ms

    def latency(self, network: Network) -> PredictedLatency:
        """The same for every network."""
        return PredictedLatency(ms=self.ms, device="none", method="none", bytes_per_element=4)


def check_latencies(method: AnyMethod, whole: Sequence[Candidate]) -> None:
    """Latencies are of the model that the problem has, and one that is none is refused."""
    for candidate in whole:
        assert candidate.predicted_ms is not None and candidate.predicted_ms > 0
        assert candidate.tabled_ms is None and candidate.measured_ms is None, "what was not measured is absent"
    for ms in (0.0, -1.0, float("nan"), float("inf")):
        try:
            search(method, make_problem(method, budget_ms=1.0, latency=Broken(ms)))
        except ValueError as error:
            assert "Allowed: a finite number above 0" in str(error)
        else:
            raise AssertionError(f"a latency of {ms} ms went through")


def check_small_counts(method: AnyMethod) -> None:
    """However few evaluations there are, something within the budget is trained."""
    for evaluations in (1, 2, 3):
        problem = make_problem(method, budget_ms=middle(method), evaluations=evaluations)
        assert _trained_within(search(method, problem), problem.budget_ms), f"nothing with {evaluations} evaluations"


def check_space_of_one(method: AnyMethod) -> None:
    """A space of one network gives that network; a network within the budget is among what is returned."""
    if known(method).takes == "network":
        budget_ms = 2 * latencies(method)[1]
        candidates = search(method, make_problem(method, budget_ms=budget_ms, evaluations=2))
        assert len(_within(candidates, budget_ms)) == len(candidates) > 0
        return
    space = space_of_one(example(method))
    (candidate,) = search(method, make_problem(method, budget_ms=1e6, space=space))
    assert msgspec.structs.replace(candidate.network, name=space.name) == space.decode(smallest(space))


def _within(candidates: Sequence[Candidate], budget_ms: float) -> list[Candidate]:
    return [each for each in candidates if each.estimated_ms is not None and each.estimated_ms <= budget_ms]


def _trained_within(candidates: Sequence[Candidate], budget_ms: float) -> list[Candidate]:
    return [each for each in _within(candidates, budget_ms) if each.short_accuracy is not None]


def main(folder: str, pause_s: str, *names: str) -> None:
    """Search with each; a line on stdout whenever a judgement begins."""
    for name in names:
        run = Path(folder) / name
        run.mkdir(parents=True, exist_ok=True)
        judge = Formula(pause_s=float(pause_s), said=True)
        search(name, make_problem(name, budget_ms=middle(name), judge=judge), run)


if __name__ == "__main__":
    main(*sys.argv[1:])
