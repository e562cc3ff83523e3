"""NetAdapt: a trained network gets faster step by step, each time by the proposal that costs least accuracy.

In every step each width proposes the largest value that cuts latency by at least delta; every proposal inherits the
current network's weights and is briefly fine-tuned; the best becomes the current network, until the budget is met.

Source: NetAdapt, arXiv:1804.03230, section 3 (`netadapt_original`: the most accurate proposal wins); MobileNetV3,
arXiv:1905.02244, section 4.2 (`netadapt`: the least loss of accuracy per millisecond wins; delta is 1 % of the seed's
latency; expansions, and bottlenecks with all blocks that share them).
Differs: heads of attention and the head's own layers propose too, and so does the network as a whole, all widths in
proportion; that one can reach any target, so a step never ends without a proposal. Delta is larger than 1 % where the
evaluations would not last for so many steps.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ridgepoint.arch.network import Network
from ridgepoint.arch.shrink import knobs, narrowed, turn
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry

DELTA = 0.01
SHARES = tuple(place / 32 for place in range(31, -1, -1))

W = TypeVar("W", int, float)
Rule = Callable[[Candidate, Sequence[Candidate]], Candidate]


def netadapt(problem: Problem) -> Proposals:
    """NetAdapt, MobileNetV3's form: narrower by the least loss of accuracy per millisecond."""
    return _adapt(problem, least_loss_per_ms)


def netadapt_original(problem: Problem) -> Proposals:
    """NetAdapt, the original form: narrower by the highest accuracy."""
    return _adapt(problem, most_accurate)


def least_loss_per_ms(current: Candidate, proposals: Sequence[Candidate]) -> Candidate:
    """The proposal with the largest change of accuracy over change of latency."""
    return max(
        proposals,
        key=lambda each: (
            (each.score - current.score) / (current.ms - each.ms),
            -each.ms,
        ),
    )


def most_accurate(current: Candidate, proposals: Sequence[Candidate]) -> Candidate:
    """The proposal with the highest accuracy, the faster of equals."""
    return max(proposals, key=lambda each: (each.score, -each.ms))


def _adapt(problem: Problem, rule: Rule) -> Proposals:
    seed = problem.network
    assert seed is not None
    current: Candidate = problem.start or (
        yield Proposal(network=seed, inherits=True, step=True, note="the seed network")
    )
    excess = current.ms - problem.budget_ms
    steps = max(((problem.evaluations or 1) - 1) // (len(knobs(seed)) + 1), 1)
    delta = max(DELTA * current.ms, excess / steps)
    while current.ms > problem.budget_ms:
        target = max(current.ms - delta, problem.budget_ms)
        proposed = _proposals(problem, current.network, target)
        judged = yield [
            Proposal(network=network, note=note, parent=current.name, inherits=True, step=True)
            for network, note in proposed
        ]
        trained = [candidate for candidate in judged if candidate.short_accuracy is not None]
        if not trained:
            return
        current = rule(current, trained)


def _proposals(problem: Problem, network: Network, target_ms: float) -> Iterator[tuple[Network, str]]:
    """The network as a whole and every width on its own, each narrowed just enough to meet the target."""
    whole = _widest(problem, target_ms, SHARES, lambda share: narrowed(network, share))
    if whole is not None:
        yield whole[0], "all widths"
    for knob in knobs(network):
        found = _widest(problem, target_ms, knob.narrower, lambda width: turn(network, knob, width))  # noqa: B023
        if found is not None:
            yield found[0], f"{knob}: {knob.width} to {found[1]}"


def _widest(
    problem: Problem, target_ms: float, widths: Sequence[W], make: Callable[[W], Network | None]
) -> tuple[Network, W] | None:
    """The first of the widths, largest first, whose network meets the target; None if even the last does not."""
    possible = [(network, width) for width in widths if (network := make(width)) is not None]
    low, high = 0, len(possible)
    while low < high:
        middle = (low + high) // 2
        if problem.ms(possible[middle][0]) <= target_ms:
            high = middle
        else:
            low = middle + 1
    return possible[low] if low < len(possible) else None


NETADAPT = Entry(netadapt, "network", trained=True, candidates=240)
NETADAPT_ORIGINAL = Entry(netadapt_original, "network", trained=True, candidates=240)
