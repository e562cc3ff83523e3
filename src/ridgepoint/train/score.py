"""How good answers are: one number that is maximised, and what else a task tells of them."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to some images against the truth.

    Attributes:
        value: 0 to 1, larger is better: weights are kept, candidates ranked and networks chosen by it.
        parts: Other numbers, by name.
        by_label: One of each label, in their order, where the task has such; None for a label without images.
        count: Images.
    """

    value: float
    parts: dict[str, float] = {}
    by_label: tuple[float | None, ...] = ()
    count: int

    def told(self, by_label: str, labels: Sequence[str]) -> dict[str, Any]:
        """The parts and the numbers by label, as documents have them.

        Args:
            by_label: What the latter are called.
            labels: Those that they are of.
        """
        if not self.by_label:
            return dict(self.parts)
        return {**self.parts, by_label: self.labelled(labels)}

    def labelled(self, labels: Sequence[str]) -> dict[str, float | None]:
        """The numbers by label, with these; none where there are none."""
        return dict(zip(labels, self.by_label, strict=True)) if self.by_label else {}


Scorer = Callable[[Any, Any], Score]
"""From outputs, (N, ...), and the truth of the same images to their score."""
