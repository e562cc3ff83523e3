"""Regularised evolution: a tournament's best is mutated, and the oldest dies, however good it was.

Source: Real et al., arXiv:1802.01548, Algorithm 1.
Differs: a population of 10 and tournaments of 4 instead of 100 and 25, for searches of tens of candidates: the first
population is drawn at random, so a search that is hardly longer is random search. Whatever is over the budget is drawn
again, as in once-for-all's search.
"""

from collections import deque
from collections.abc import Iterator
from typing import cast

from ridgepoint.arch.space import Assignment
from ridgepoint.search.draw import Draws, Settings
from ridgepoint.search.method import Problem, Proposal, Proposals

POPULATION = 10
TOURNAMENT = 4


def evolution(problem: Problem) -> Proposals:
    """A random first population within the budget, then one child at a time."""
    draws = Draws(problem, "evolution", cast(Settings | None, problem.settings))
    first: list[Assignment] = []

    def founders() -> Iterator[Proposal]:
        for assignment, network in draws.several(draws.uniform, POPULATION):
            first.append(assignment)
            yield Proposal(network=network)

    candidates = yield founders()
    population = deque(zip(first, candidates, strict=True), maxlen=POPULATION)
    while len(population) == POPULATION:
        rivals = [population[index] for index in draws.rng.choice(POPULATION, TOURNAMENT, replace=False)]
        genes, parent = max(rivals, key=lambda rival: rival[1].short_accuracy or 0.0)
        child = draws.new(lambda: draws.mutated(genes))  # noqa: B023
        drawn = child or draws.new(draws.uniform)
        if drawn is None:
            return
        candidate = yield Proposal(network=drawn[1], parent=parent.name if child else None)
        population.append((drawn[0], candidate))
