"""Intervals of other confidence than the nine of ten that devices have: errors taken as log-normal on either side."""

from statistics import NormalDist

from ridgepoint.errors import InputError

KNOWN = 0.9


def above(interval: tuple[float, float], confidence: float) -> float:
    """The upper end, as measured over predicted latency, of the interval that holds such a share of networks.

    Args:
        interval: Of measured over predicted latency, in which nine of ten networks lay.
        confidence: The share, above 0 and below 1.

    Raises:
        InputError: If it is no such share.
    """
    if not 0 < confidence < 1:
        raise InputError(f"--confidence is {confidence:g}. Allowed: above 0 and below 1, for example {KNOWN:g}")
    if confidence == KNOWN:
        return interval[1]
    return float(interval[1] ** (_deviations(confidence) / _deviations(KNOWN)))


def _deviations(share: float) -> float:
    """How many standard deviations around the middle hold such a share."""
    return NormalDist().inv_cdf((1 + share) / 2)
