"""How far a network of a new design may be off, by how far designs were that were left out of a fit.

Families count, not networks: those of one design are off together. With s the root mean square of the families'
logarithmic errors, nine of ten networks are expected within exp(-t s) and exp(t s), where t is Student's quantile with
as many degrees of freedom as there are families. A family that is off by more than `MOST` times the middle one counts
as that: one that a runtime runs otherwise than all others would widen the interval of every network, and tell of none.

Networks with depthwise convolutions above 5x5 have an interval of their own: they are off otherwise than all others.

Quantiles of the networks' errors (what most would take) held 71 % of those of left-out families in the median of
thirteen devices instead of 90 %, the extremes no more; this way holds 86 %, and between 85 % and 95 % on nine of them.

Source: conformal prediction by groups, V. Vovk, Conditional validity of inductive conformal predictors, 2012.
Differs: with fewer than nine families no conformal interval is finite, so that errors are taken as normal.
"""

import numpy as np
from numpy.typing import NDArray

from ridgepoint.cost.confidence import KNOWN

MOST = 3.0


def interval_of_families(ratios: NDArray[np.float64], families: NDArray[np.str_]) -> tuple[float, float]:
    """The interval of measured over predicted latency that nine of ten networks of a new design are expected in.

    Args:
        ratios: (networks,) measured over predicted latency of networks whose family was left out.
        families: (networks,) which family each belongs to; at least one.
    """
    from scipy.stats import t

    squares = np.log(ratios) ** 2
    errors = np.sqrt([squares[families == name].mean() for name in dict.fromkeys(families.tolist())])
    spread = float(np.sqrt(np.mean(np.minimum(errors, MOST * np.median(errors)) ** 2)))
    width = float(t.ppf((1 + KNOWN) / 2, len(errors))) * spread
    return float(np.exp(-width)), float(np.exp(width))


def covered(
    ratios: NDArray[np.float64], families: NDArray[np.str_], large_depthwise: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which networks lie in the interval that the other families of their kind make one expect.

    Where no other family is of its kind, all others count.

    Args:
        ratios: (networks,) measured over predicted latency of networks whose family was left out.
        families: (networks,) which family each belongs to; at least two.
        large_depthwise: (networks,) whether each has depthwise convolutions above 5x5.

    Shape: (networks,).
    """
    found = np.zeros(len(ratios), dtype=bool)
    for at, (name, large) in enumerate(zip(families, large_depthwise, strict=True)):
        others = families != name
        alike = others & (large_depthwise == large)
        known = alike if alike.any() else others
        low, high = interval_of_families(ratios[known], families[known])
        found[at] = low <= ratios[at] <= high
    return found
