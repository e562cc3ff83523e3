"""From candidates to finalists: nobody is called best before the clock has confirmed what the table said."""

import statistics
from collections.abc import Sequence

import msgspec

from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Clock


class Finalists(msgspec.Struct, frozen=True, kw_only=True):
    """The best that meet the budget by the clock, everything that was clocked, and how far the table was off.

    `gap` is the median of measured over estimated latency; None if nothing was clocked, as on no device at hand.
    """

    chosen: tuple[Candidate, ...]
    clocked: tuple[Candidate, ...]
    gap: float | None


def choose_finalists(
    candidates: Sequence[Candidate], clock: Clock | None, *, limit_ms: float, count: int, group: int, hedge: float
) -> Finalists:
    """Clock the most accurate candidates, a few at a time, until enough of them meet the limit.

    What the clock says of the first is applied to the others: those that the limit then leaves out are clocked last.

    Args:
        candidates: Of a search; those over the limit or without an accuracy are passed over.
        clock: Gives the measured milliseconds of exported networks, by name; None where nothing can be measured and
            the model's word is the last.
        limit_ms: What a finalist may take.
        count: How many are wanted.
        group: How many are clocked at a time.
        hedge: By how much a candidate must be slower than the best to be clocked second, for being larger.
    """
    waiting = hedged(ranked(candidates, limit_ms), hedge)
    if clock is None:
        chosen = tuple(msgspec.structs.replace(each, phase="finalist") for each in waiting[:count])
        return Finalists(chosen=chosen, clocked=chosen, gap=None)
    clocked: list[Candidate] = []
    gap: float | None = None
    while waiting and sum(candidate.final_ms <= limit_ms for candidate in clocked) < count:
        waiting.sort(key=lambda candidate: (gap or 1.0) * candidate.ms > limit_ms)  # stable
        tried, waiting = waiting[:group], waiting[group:]
        found = clock({candidate.name: candidate.network for candidate in tried})
        clocked += [
            msgspec.structs.replace(candidate, phase="finalist", measured_ms=found[candidate.name])
            for candidate in tried
        ]
        gap = statistics.median(candidate.final_ms / candidate.ms for candidate in clocked)
    meeting = [candidate for candidate in clocked if candidate.final_ms <= limit_ms]
    return Finalists(chosen=tuple(meeting[:count]), clocked=tuple(clocked), gap=gap)


def ranked(candidates: Sequence[Candidate], limit_ms: float) -> list[Candidate]:
    """Trained candidates within the limit, the most accurate first, each network once."""
    within = [each for each in candidates if each.short_accuracy is not None and each.ms <= limit_ms]
    within.sort(key=lambda candidate: (-candidate.score, candidate.ms))
    first: dict[str, Candidate] = {}
    for candidate in within:
        first.setdefault(candidate.network.digest, candidate)
    return list(first.values())


def hedged(ranked: list[Candidate], factor: float) -> list[Candidate]:
    """The same candidates, the best of the clearly larger ones second.

    A short training favours networks that learn fast, which are small; a full training may prefer a larger one.
    """
    larger = [candidate for candidate in ranked if candidate.ms >= factor * ranked[0].ms]
    return ranked[:1] + larger[:1] + [candidate for candidate in ranked[1:] if candidate not in larger[:1]]
