"""Which of the trained networks a fit gives: the one rule by which it ends."""

from collections.abc import Callable, Sequence

from ridgepoint.search.candidate import Candidate


def choose(
    trained: Sequence[Candidate], budget_ms: float, *, ms: Callable[[Candidate], float] = lambda each: each.final_ms
) -> Candidate:
    """The best validation accuracy among those whose exported file meets the budget; else the fastest.

    A zoo network may win: what counts is what it measured here. Of equals the faster one; of one network that was
    trained twice, which the clock does not tell apart, the one that was trained longer.

    Args:
        trained: With validation accuracies.
        budget_ms: The most that one may take.
        ms: What it takes; of several devices what it takes on the tightest, brought to this budget.
    """
    meeting = [candidate for candidate in trained if ms(candidate) <= budget_ms]
    if meeting:
        fastest = {_file(c): ms(c) for c in sorted(meeting, key=lambda c: -ms(c))}
        return max(meeting, key=lambda c: (c.val_accuracy, -fastest[_file(c)], c.steps or 0, -ms(c)))
    return min(trained, key=ms)


def _file(candidate: Candidate) -> tuple[str, bool]:
    """What the clock tells apart: the network, and whether it is in int8."""
    return candidate.network.digest, candidate.training != candidate.name
