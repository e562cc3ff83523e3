"""What every search method is given, and what it gives: a problem in, one proposal after another out.

A method is a generator. It yields a `Proposal`, is sent back the `Candidate` that the driver made of it, and returns
when it has nothing left to propose:

    def random(problem: Problem) -> Proposals:
        while True:
            candidate = yield Proposal(network=...)

A method that needs no answer between some of its proposals yields them together, in any iterable, and is sent the list
of their candidates, in the same order; workers may then judge them side by side.

All that it decides follows from the problem and from what it was sent. So a journal that is replayed into a new
generator puts it where the killed one was: that is how every method resumes exactly.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space
from ridgepoint.cost.latency import LatencyModel
from ridgepoint.errors import InputError
from ridgepoint.search.candidate import Candidate, Name, Seconds, Share


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A network to be judged.

    `parent` names the candidate that it was made from. With `inherits`, it starts from the parent's weights (without a
    parent: from the seed network's). `step` says that others will be made from it, so that it is trained even if it is
    over the budget. `measured` asks for the latency of its exported file by the clock, where the problem has one.
    """

    network: Network
    parent: Name | None = None
    inherits: bool = False
    step: bool = False
    measured: bool = False
    note: str = ""


class Judgement(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a judge found out about a candidate: its accuracy, a share, and how long that took.

    `epochs` are passes over the images, where it counts them; `weights` is the file that holds what it learnt, where
    the judge keeps one.
    """

    accuracy: Share
    seconds: Seconds
    epochs: Seconds | None = None
    weights: str | None = None


class Judge(Protocol):
    """Data, and how a candidate is taught and judged on them."""

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """Teach the candidate and take its accuracy on validation images.

        Raises:
            DivergedError: If its training diverged.
        """
        ...


Clock: TypeAlias = Callable[[Mapping[str, Network]], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is asked of a method: something to search, how to judge it, and a budget.

    Attributes:
        latency: Gives a network its latency.
        budget_ms: The most that a returned network may take, by that model.
        judge: Judges candidates.
        seed: Of everything that the method draws.
        space: What may be found, for methods that search a space.
        network: What to change, for methods that change a network.
        start: Where such a method begins if not with the network: where it came to in a search for a larger budget.
        evaluations: How many candidates will be trained, where the search is bounded by count.
        settings: The method's own; its defaults if left open.
        folder: Where a method may keep files of its own.
        told: Hears of work between two proposals: the share of it that is done, and what is going on.
        clock: Gives the measured milliseconds of exported networks, by name; absent where nothing can be measured.
    """

    latency: LatencyModel
    budget_ms: float
    judge: Judge
    seed: int
    space: Space | None = None
    network: Network | None = None
    start: Candidate | None = None
    evaluations: int | None = None
    settings: msgspec.Struct | None = None
    folder: Path | None = None
    told: Callable[[float, str], None] = lambda share, text: None
    clock: Clock | None = None

    def ms(self, network: Network) -> float:
        """A network's latency by the problem's model.

        Raises:
            InputError: If the model gives nothing that a latency can be.
        """
        return checked(self.latency.latency(network).ms, network)

    def fits(self, network: Network) -> bool:
        """Whether a network is within the budget."""
        return self.ms(network) <= self.budget_ms


Proposals: TypeAlias = Generator[Proposal | Iterable[Proposal], Any, None]
"""Sent the candidate of a proposal, or the list of those of several."""
Method: TypeAlias = Callable[[Problem], Proposals]


def checked(ms: float, network: Network) -> float:
    """The latency, which must be a finite number above 0.

    Raises:
        InputError: If it is not: a network that costs nothing would win every search.
    """
    if not 0.0 < ms < float("inf"):
        raise InputError(f"the latency model gives {network.name} {ms} ms. Allowed: a finite number above 0")
    return ms
