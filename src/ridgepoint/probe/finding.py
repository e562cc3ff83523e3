"""A paper's claim as a ratio of two variants, and the range in which it holds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Quantity = Literal["time", "time per MAC", "MACs in the same time"]
Verdict = Literal["holds", "does not hold", "not distinguishable in this run"]

# Nobody chooses a block for less; and two sessions of one file may differ by so much on a noisy machine.
SLOWER = 1.03
_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim: the ratio of `over` to `under` lies within a range.

    Attributes:
        claim: What the paper says, one sentence.
        over: The variant (or group of variants) that is compared.
        under: The one that it is compared with.
        at_least: The claim holds from this ratio,
        at_most: up to this one.
        quantity: What the ratio is of.
        ours: Whether it is a question of ours, which no paper answers in these words.
    """

    claim: str
    over: str
    under: str
    at_least: float = 0.0
    at_most: float = math.inf
    quantity: Quantity = "time"
    ours: bool = False

    def judge(self, low: float, high: float) -> Verdict:
        """Whether a measured ratio, told as the interval from low to high, lies within the claim's range."""
        if low >= self.at_least and high <= self.at_most:
            return "holds"
        if high < self.at_least or low > self.at_most:
            return "does not hold"
        return "not distinguishable in this run"


@dataclass(frozen=True)
class Clocked:
    """A variant's MACs and its times in milliseconds, (loads, rounds): every file is loaded more than once."""

    macs: int
    ms: np.ndarray


def interval(ratios_IJR: np.ndarray) -> tuple[float, float, float]:
    """Median ratio between the ends of its 95 % interval: low, median, high.

    Args:
        ratios_IJR: What `ratios` gives.

    Rounds scatter with the machine's other work, loads with where their memory lies; both are drawn anew, with
    replacement (bootstrap).
    """
    draw = np.random.default_rng(0).integers
    loads_I, loads_J, rounds = ratios_IJR.shape
    medians = [
        np.median(
            ratios_IJR[np.ix_(draw(loads_I, size=loads_I), draw(loads_J, size=loads_J), draw(rounds, size=rounds))]
        )
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(np.median(ratios_IJR)), float(high)


def ratios(quantity: Quantity, over: Sequence[Clocked], under: Sequence[Clocked]) -> np.ndarray:
    """The ratio in every round, for every pair of loads, (loads, loads, rounds).

    Both sides are one variant or several. Times of several are averaged; for MACs in the same time they are one block
    at several widths.
    """
    return _RATIOS[quantity](over, under)


def _time(over: Sequence[Clocked], under: Sequence[Clocked]) -> np.ndarray:
    ratio: np.ndarray = _mean(over, lambda one: one.ms)[:, None] / _mean(under, lambda one: one.ms)[None]
    return ratio


def _time_per_mac(over: Sequence[Clocked], under: Sequence[Clocked]) -> np.ndarray:
    costs = (_mean(side, lambda one: one.ms / one.macs) for side in (over, under))
    ratio: np.ndarray = next(costs)[:, None] / next(costs)[None]
    return ratio


def _macs_in_the_same_time(over: Sequence[Clocked], under: Sequence[Clocked]) -> np.ndarray:
    """MACs of `over` in the time of `under`'s middle width, by the power law through `over`'s widths."""
    middle = under[len(under) // 2]
    log_macs = np.log([one.macs for one in over])
    log_ms = np.log([one.ms for one in over])  # (widths, loads, rounds)
    centred = log_ms - log_ms.mean(0)
    slope = (centred * (log_macs - log_macs.mean())[:, None, None]).sum(0) / (centred**2).sum(0)
    beyond = np.log(middle.ms)[None] - log_ms.mean(0)[:, None]
    macs: np.ndarray = np.exp(log_macs.mean() + slope[:, None] * beyond)
    return macs / middle.macs


def _mean(side: Sequence[Clocked], value: Callable[[Clocked], np.ndarray]) -> np.ndarray:
    mean: np.ndarray = np.mean([value(one) for one in side], axis=0)
    return mean


_RATIOS: dict[Quantity, Callable[[Sequence[Clocked], Sequence[Clocked]], np.ndarray]] = {
    "time": _time,
    "time per MAC": _time_per_mac,
    "MACs in the same time": _macs_in_the_same_time,
}
