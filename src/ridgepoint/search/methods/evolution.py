"""Regularised evolution: a tournament's best is mutated, and the oldest dies, however good it was.

Source: Real et al., arXiv:1802.01548, Algorithm 1.
Differs: a population of 10 and tournaments of 4 instead of 100 and 25, for searches of tens of candidates. The first
population holds a few networks that span the budget, the rest is drawn at random. Children are born a few at a time, so
that workers may judge them side by side. Whatever is over the budget is drawn again, as in once-for-all's search.
"""

from collections import deque
from collections.abc import Iterator
from typing import cast

from ridgepoint.arch.space import Assignment
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import Draws, Settings, difference, uniform_starts
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry

POPULATION = 10
STARTS = 3
TOURNAMENT = 4
BORN = 4


def evolution(problem: Problem) -> Proposals:
    """A first population within the budget, then a few children at a time."""
    draws = Draws(problem, "evolution", cast(Settings | None, problem.settings))
    population: deque[tuple[Assignment, Candidate]] = deque(maxlen=POPULATION)
    born: list[Assignment] = []

    def founders() -> Iterator[Proposal]:
        spanning = [draws.new(lambda: start) for start in uniform_starts(problem, count=STARTS)]  # noqa: B023
        found = [drawn for drawn in spanning if drawn]
        for assignment, network in [*found, *draws.several(draws.uniform, POPULATION - len(found))]:
            born.append(assignment)
            yield Proposal(network=network)

    def children() -> Iterator[Proposal]:
        for _ in range(BORN):
            rivals = [population[index] for index in draws.rng.choice(POPULATION, TOURNAMENT, replace=False)]
            genes, parent = max(rivals, key=lambda rival: rival[1].short_accuracy or 0.0)
            child = draws.new(lambda: draws.mutated(genes))  # noqa: B023
            drawn = child or draws.new(draws.uniform)
            if drawn is None:
                return
            born.append(drawn[0])
            if child is None:
                yield Proposal(network=drawn[1])
            else:
                yield Proposal(network=drawn[1], parent=parent.name, note=difference(draws.space, genes, drawn[0]))

    candidates = yield founders()
    population.extend(zip(born, candidates, strict=True))
    while len(population) == POPULATION:
        born.clear()
        candidates = yield children()
        if not candidates:
            return
        population.extend(zip(born, candidates, strict=True))


EVOLUTION = Entry(evolution, settings=Settings)
