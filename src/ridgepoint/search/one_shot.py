"""TuNAS as a method of the search driver: one long training of shared weights, then a few networks to judge."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space
from ridgepoint.search.method import Problem, Proposal, Proposals, Task
from ridgepoint.search.shared_weights import Weights
from ridgepoint.search.tunas import FALLBACKS, Found, Job, tunas
from ridgepoint.search.two_stages import plain_kernels, two_stages
from ridgepoint.train.loop import Bound


class OneShotTask(Task, Protocol):
    """A task whose images can also teach weights that a whole space shares."""

    def weights(self, space: Space) -> Weights:
        """Fresh weights for the networks of a space."""
        ...

    def as_long_as(self, candidates: int) -> Bound:
        """How long it takes to judge so many candidates."""
        ...


def tunas_one_stage(problem: Problem) -> Proposals:
    """Everything at once."""
    return _propose(problem, tunas)


def tunas_two_stages(problem: Problem) -> Proposals:
    """Sizes, then depthwise convolutions; everything at once where the space leaves none open."""
    assert problem.space is not None
    return _propose(problem, two_stages if plain_kernels(problem.space) else tunas)


def _propose(problem: Problem, search: Callable[[Job], Found]) -> Proposals:
    """The network that the policy ends on, and the slightly faster ones beside it.

    The search lasts as long as judging the evaluations that the proposals leave over.
    """
    space, task = problem.space, cast(OneShotTask, problem.task)
    assert space is not None
    known: dict[tuple[tuple[str, int], ...], float] = {}

    def latency_ms(assignment: Assignment) -> float:
        key = tuple(assignment.items())
        if key not in known:
            known[key] = problem.ms(space.decode(assignment))
        return known[key]

    found = search(
        Job(
            space=space,
            weights=task.weights,
            latency_ms=latency_ms,
            budget_ms=problem.budget_ms,
            seed=problem.seed,
            bound=task.as_long_as(max((problem.evaluations or 1) - 1 - len(FALLBACKS), 1)),
            folder=None if problem.folder is None else problem.folder / "tunas",
            on_step=lambda share, row: problem.told(share, _said(row)),
        )
    )
    for number, assignment in enumerate(found.assignments):
        note = "faster than the policy's network" if number else "the policy's most probable network within the budget"
        yield Proposal(network=space.decode(assignment), note=note)


def _said(row: dict[str, Any]) -> str:
    """A row of the policy's history for a progress bar."""
    stage = f"{row['stage']} stage, " if "stage" in row else ""
    learned = "the weights alone learn" if row["reward"] is None else f"average reward {row['reward']:.3f}"
    return f"shared weights, {stage}step {row['step']}: loss {row['loss']:.3f}, {learned}"
