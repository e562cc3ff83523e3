"""Drawing from a space under a budget: what random search and evolution share."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, cast

import msgspec
import numpy as np

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Assignment, Choice, Space
from ridgepoint.cost.count import cost
from ridgepoint.search.method import Problem
from ridgepoint.search.scores import ScoreName, ShowingJudge, score
from ridgepoint.seeds import seed_for

ATTEMPTS = 100
REJECTIONS = 20


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How methods that draw candidates choose among their draws.

    Attributes:
        prefilter: A zero-cost score, by which one of several draws is taken; without one, every draw is.
        draws: How many those are.
    """

    prefilter: ScoreName | None = None
    draws: Annotated[int, msgspec.Meta(ge=2)] = 8


class Draws:
    """Networks of a problem's space within its budget, each given once.

    Args:
        problem: Has a space.
        method: The name of the method that draws; part of the seed.
        settings: How to choose among draws.
    """

    def __init__(self, problem: Problem, method: str, settings: Settings | None = None):
        assert problem.space is not None
        self.problem, self.space = problem, problem.space
        self.rng = np.random.default_rng(seed_for(problem.seed, method))
        self.smallest = smallest(self.space)
        self.settings = settings or Settings()
        self._given: set[str] = set()

    def new(self, draw: Callable[[], Assignment]) -> tuple[Assignment, Network] | None:
        """A draw within the budget that was not given before, the best of several by the prefilter's score.

        None if there seems to be none left. What the prefilter passes over may be drawn again.
        """
        wanted = self.settings.draws if self.settings.prefilter else 1
        rivals: list[tuple[Assignment, Network]] = []
        met = set(self._given)
        while len(rivals) < wanted and (drawn := self._drawn(draw, met)) is not None:
            rivals.append(drawn)
            met.add(drawn[1].digest)
        if not rivals:
            return None
        chosen = max(rivals, key=lambda rival: self._score(rival[1]))
        self._given.add(chosen[1].digest)
        return chosen

    def _score(self, network: Network) -> float:
        """By the prefilter; without one, all are alike."""
        if self.settings.prefilter is None:
            return 0.0
        judge = cast(ShowingJudge, self.problem.judge)
        return score(self.settings.prefilter, network, judge, seed=self.problem.seed)

    def _drawn(self, draw: Callable[[], Assignment], met: set[str]) -> tuple[Assignment, Network] | None:
        """A draw within the budget that is not among those already met.

        What is over the budget is drawn again, so draws are those of `draw` under the condition that they meet the
        budget; only after `REJECTIONS` of them one is made smaller, so that a budget that hardly anything meets is met.
        """
        rejected = 0
        for _ in range(ATTEMPTS):
            assignment = draw()
            network = self.space.decode(assignment)
            if network.digest in met:
                continue
            if not self.problem.fits(network):
                rejected += 1
                if rejected < REJECTIONS:
                    continue
                rejected = 0
                assignment = self._made_smaller(assignment)
                network = self.space.decode(assignment)
                if network.digest in met or not self.problem.fits(network):
                    continue
            return assignment, network
        return None

    def several(self, draw: Callable[[], Assignment], count: int) -> Iterator[tuple[Assignment, Network]]:
        """So many new draws one after the other; fewer if there seem to be none left."""
        for _ in range(count):
            drawn = self.new(draw)
            if drawn is None:
                return
            yield drawn

    def uniform(self) -> Assignment:
        """Every open choice uniformly."""
        return self.space.sample_assignment(self.rng)

    def mutated(self, assignment: Assignment) -> Assignment:
        """One open choice that has options takes another one; choices that this opens are drawn uniformly."""
        names = [choice.name for choice in self.space.choices if choice.name in assignment and len(choice.options) > 1]
        changed = names[self.rng.integers(len(names))] if names else None

        def pick(choice: Choice) -> int:
            count = len(choice.options)
            if choice.name == changed:
                return int(assignment[choice.name] + 1 + self.rng.integers(count - 1)) % count
            return assignment[choice.name] if choice.name in assignment else int(self.rng.integers(count))

        return self.space.complete(pick)

    def _made_smaller(self, assignment: Assignment) -> Assignment:
        """Choices in random order set to the smallest network's options, about as few as the budget needs."""
        names = sorted(assignment)
        order = [names[index] for index in self.rng.permutation(len(names))]

        def at(count: int) -> Assignment:
            kept = {name: assignment[name] for name in order[count:]}
            return self.space.complete(lambda choice: kept.get(choice.name, self.smallest.get(choice.name, 0)))

        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self.problem.fits(self.space.decode(at(middle))):
                high = middle
            else:
                low = middle + 1
        return at(low)


def difference(space: Space, before: Assignment, after: Assignment) -> str:
    """What distinguishes a network from another in words, by choices that both have: ``stages.0.depth 2 to 3``."""
    both = [choice for choice in space.choices if choice.name in before and choice.name in after]
    changed = [choice for choice in both if before[choice.name] != after[choice.name]]
    return "; ".join(
        f"{choice.name} {' to '.join(_option(choice.options[each[choice.name]]) for each in (before, after))}"
        for choice in changed
    )


def _option(option: object) -> str:
    if isinstance(option, Choice):
        return "|".join(map(_option, option.options))
    if isinstance(option, Mapping):
        return _option(option["block"])
    return "nothing" if option is None else str(option)


def smallest(space: Space) -> Assignment:
    """The assignment with the fewest MACs that changing one choice after the other finds."""
    found = space.complete(lambda choice: 0)
    fewest = _macs(space, found)
    for choice in space.choices:
        for index in range(1, len(choice.options)):
            if choice.name in found:
                tried = space.complete(lambda each: (found | {choice.name: index}).get(each.name, 0))  # noqa: B023
                if (macs := _macs(space, tried)) < fewest:
                    found, fewest = tried, macs
    return found


def at_share(space: Space, share: float) -> Assignment:
    """The same place in every choice's list: 0 takes all first options, 1 all last ones."""
    return space.complete(lambda choice: round(share * (len(choice.options) - 1)))


def uniform_starts(problem: Problem, *, count: int) -> list[Assignment]:
    """Assignments that take the same place in every choice's list, from the largest that fits downwards.

    They give a search a first generation that spans the budget, as uniform scaling of one network would.
    """
    space = problem.space
    assert space is not None
    found: list[Assignment] = []
    for place in range(20, -1, -1):
        assignment = at_share(space, place / 20)
        if assignment not in found and problem.fits(space.decode(assignment)):
            found.append(assignment)
        if len(found) == count:
            break
    return found or [smallest(space)]


def _macs(space: Space, assignment: Assignment) -> int:
    return cost(space.decode(assignment), form="deploy").macs
