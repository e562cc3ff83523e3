"""By how much accuracy changes from one file to another, on the same images, and how sure that is."""

import math

import numpy as np

from ridgepoint.run.quantised import Change

Z = 1.645  # one-sided 95 %


def change_between(before: np.ndarray, after: np.ndarray, *, split: str) -> Change:
    """The change in the share of right answers with its two one-sided 95 % bounds.

    The images that only one of the two has right decide. With one more of each kind the bounds hold for few images too,
    and do not vanish where both answer alike.

    Args:
        before: Whether each answer is right, bool (N,).
        after: The same images, bool (N,).
        split: What they are part of.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
        paired data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    count = len(before)
    gained, lost = int((~before & after).sum()), int((before & ~after).sum())
    up, down = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    error = math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    return Change(
        value=(gained - lost) / max(count, 1),
        low=up - down - Z * error,
        high=up - down + Z * error,
        count=count,
        split=split,
    )


def images_needed(change: Change, most_drop: float) -> int | None:
    """About how many images would tell that a drop is less than the most allowed; None if no number would."""
    room = change.value + most_drop
    if room <= 0:
        return None
    width = (change.high - change.low) / 2
    return math.ceil(change.count * (width / room) ** 2 / 100) * 100
