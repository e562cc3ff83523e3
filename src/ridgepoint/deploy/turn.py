"""One session's turn on the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LOST = 0.01  # the share of a turn that it may have waited for its core


@dataclass(frozen=True)
class Turn:
    """One session's turn: milliseconds of its runs, and the share of the turn that was lost to others.

    `runs` is how many runs the one time of a turn is the mean of, where nobody tells what each of them took.
    """

    ms: Sequence[float]
    lost: float = 0.0
    runs: int | None = None

    @property
    def undisturbed(self) -> bool:
        """Whether it had its core for itself."""
        return self.lost <= MOST_LOST
