"""Whether two sessions that were timed together differ, or one run cannot tell."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np

ALPHA = 0.01
# Loading a file again moves its time by up to this share: where its weights lie in memory decides, and stays.
RESOLUTION = 0.02
EVERY_PAIR = 5


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How two sessions compare: `ratio` is the first one's time over the second's, `p` is adjusted for all pairs."""

    first: str
    second: str
    ratio: float
    p: float
    differ: bool

    def __str__(self) -> str:
        return "these two differ" if self.differ else "not distinguishable in this run"


def compare(rounds_ms: Mapping[str, Sequence[float]]) -> list[Verdict]:
    """Verdicts on pairs of sessions from the rounds that they had together.

    A round's two times meet the same machine, so their ratio is what counts: Wilcoxon's signed-rank test on its
    logarithm, adjusted for many pairs by Holm's method. Two differ if the test says so at 1 % and the median ratio is
    further from 1 than loading the same file again would move it. Up to five sessions are compared pair by pair, more
    with the fastest only.

    Args:
        rounds_ms: For each name what a run took in every round; all of the same length.

    Source: Holm, Scand. J. Statist. 6 (1979), 65-70.
    """
    logs = {name: np.log(np.asarray(times)) for name, times in rounds_ms.items()}
    names = sorted(logs, key=lambda name: float(np.median(logs[name])))
    pairs = list(combinations(names, 2))
    if len(names) > EVERY_PAIR:
        pairs = [pair for pair in pairs if names[0] in pair]
    ratios = [logs[first] - logs[second] for first, second in pairs]
    return [
        Verdict(
            first=first,
            second=second,
            ratio=float(np.exp(np.median(ratio))),
            p=p,
            differ=bool(p < ALPHA and abs(np.median(ratio)) > np.log1p(RESOLUTION)),
        )
        for (first, second), ratio, p in zip(pairs, ratios, _holm([_p(ratio) for ratio in ratios]), strict=True)
    ]


def _p(ratio: np.ndarray) -> float:
    from scipy.stats import wilcoxon  # not above: it takes a second to load

    return float(wilcoxon(ratio).pvalue) if ratio.any() else 1.0


def _holm(values: Sequence[float]) -> list[float]:
    """The smallest of n is multiplied by n, the next by n - 1, ..., and none is less than one before it."""
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(values)[order] * factors), 1.0)
    return adjusted.tolist()
