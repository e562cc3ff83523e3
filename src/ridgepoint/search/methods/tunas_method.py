"""TuNAS as a method of the search driver: one long training of shared weights, then a few networks to judge."""

from collections.abc import Callable
from typing import cast

from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry
from ridgepoint.search.methods.tunas import DEFAULTS, Found, Job, Settings, tunas
from ridgepoint.search.methods.two_stages import plain_kernels, two_stages
from ridgepoint.search.one_shot import OneShotJudge, Row, latencies, training_bound


def tunas_one_stage(problem: Problem) -> Proposals:
    """TuNAS: a policy over all choices, learnt with weights that all networks share."""
    return _propose(problem, tunas)


def tunas_two_stages(problem: Problem) -> Proposals:
    """TuNAS for sizes, then for depthwise convolutions; for everything at once where the space leaves none open."""
    assert problem.space is not None
    return _propose(problem, two_stages if plain_kernels(problem.space) else tunas)


def _propose(problem: Problem, search: Callable[[Job], Found]) -> Proposals:
    """The networks that the search ends on, the best one by the shared weights first.

    The search lasts as long as judging the evaluations that the proposals leave over.
    """
    space = problem.space
    assert space is not None
    found = search(
        Job(
            space=space,
            weights=cast(OneShotJudge, problem.judge).weights,
            latency_ms=latencies(problem, space),
            budget_ms=problem.budget_ms,
            seed=problem.seed,
            bound=training_bound(problem),
            settings=cast(Settings, problem.settings or DEFAULTS),
            folder=None if problem.folder is None else problem.folder / "tunas",
            on_step=lambda share, row: problem.told(share, _said(row)),
        )
    )
    for place, assignment in enumerate(found.assignments, 1):
        note = f"by the shared weights number {place} of the policy's networks within the budget"
        yield Proposal(network=space.decode(assignment), note=note)


def _said(row: Row) -> str:
    """A row of the policy's history for a progress bar."""
    stage = f"{row['stage']} stage, " if "stage" in row else ""
    learned = "the weights alone learn" if row["reward"] is None else f"average reward {row['reward']:.3f}"
    return f"shared weights, {stage}step {row['step']}: loss {row['loss']:.3f}, {learned}"


TUNAS = Entry(tunas_two_stages, settings=Settings, shared=True)
TUNAS_ONE_STAGE = Entry(tunas_one_stage, settings=Settings, shared=True)
