"""Random search under the budget: the baseline that every other method has to beat at equal evaluations."""

from typing import cast

from ridgepoint.search.draw import Draws, Settings
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry

BATCH = 8


def random(problem: Problem) -> Proposals:
    """Networks of the space drawn uniformly among those that meet the budget, none twice."""
    draws = Draws(problem, "random", cast(Settings | None, problem.settings))
    while (yield (Proposal(network=network) for _, network in draws.several(draws.uniform, BATCH))):
        pass


RANDOM = Entry(random, settings=Settings)
