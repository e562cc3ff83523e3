"""By how much accuracy changes from one file to another, on the same images, and how sure that is."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ridgepoint.run.quantised import Change

Z = 1.645  # one-sided 95 %
GROUPS = 20  # of images, one of which at a time is left out

Scores = Callable[[np.ndarray, Any, Sequence[np.ndarray]], Sequence[float]]
"""From answers, (N, ...), and the truth of all images to the score, 0 to 1, of several choices of the images."""


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


def change_of_score(
    scores: Scores,
    before: np.ndarray,
    after: np.ndarray,
    truth: Any,
    *,
    metric: str,
    split: str,
) -> Change:
    """The change of a score that is no mean over images, with its two one-sided 95 % bounds.

    Images are dealt into groups; how the change differs as one group after the other is left out tells how sure it is.
    From fewer images than there are groups nothing can be told.

    Args:
        scores: Of answers by the truth of their images, for several choices of them.
        before: Answers of all images, (N, ...).
        after: Of the other file.
        truth: Of the images.
        metric: What the score is called.
        split: What the images are part of.

    Source: Tukey's jackknife over groups; Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11.
    """
    count = len(before)
    groups = np.random.default_rng(0).permutation(count) % GROUPS

    choices = [np.arange(count)]
    if count >= GROUPS:
        choices += [np.flatnonzero(groups != group) for group in range(GROUPS)]
    changes = np.subtract(scores(after, truth, choices), scores(before, truth, choices))
    value, without = float(changes[0]), changes[1:]
    if count < GROUPS:
        return Change(value=value, low=-1.0, high=1.0, count=count, split=split, metric=metric)
    error = math.sqrt((GROUPS - 1) / GROUPS * float(((without - without.mean()) ** 2).sum()))
    from scipy.stats import t as student  # not above: it takes a second to load

    width = float(student.ppf(0.95, GROUPS - 1)) * error
    return Change(value=value, low=value - width, high=value + width, count=count, split=split, metric=metric)


def images_needed(change: Change, most_drop: float) -> int | None:
    """About how many images would tell that a drop is less than the most allowed; None if no number would."""
    room = change.value + most_drop
    if room <= 0:
        return None
    width = (change.high - change.low) / 2
    return math.ceil(change.count * (width / room) ** 2 / 100) * 100
