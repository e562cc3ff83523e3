"""Views with a teacher's answers to them: asked on the spot here, or read from a store; either way the same.

Shapes: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from ridgepoint.distill.answers import Answers, encode
from ridgepoint.distill.teacher import Teacher
from ridgepoint.distill.views import Views


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What a student sees and should say.

    Attributes:
        images: uint8 (B, C, H, W).
        seeds: Of the views, uint64 (B,).
        answers: The teacher's.
    """

    images: Tensor
    seeds: np.ndarray
    answers: Answers


class Lessons(Protocol):
    """Where lessons come from."""

    @property
    def views(self) -> Views:
        """What they show."""
        ...

    def lesson(self, rows_B: np.ndarray, replicas_B: np.ndarray) -> Lesson:
        """The views of these rows in these replicas, answered."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class OnlineLessons:
    """The teacher answers at every step, as it would have answered for a store."""

    views: Views
    teacher: Teacher
    topk: int | None = None

    def lesson(self, rows_B: np.ndarray, replicas_B: np.ndarray) -> Lesson:
        """The views, shown to the teacher.

        Raises:
            InputError: If its logits are not finite.
        """
        seeds_B = self.views.seeds(rows_B, replicas_B)
        images = self.views.images(rows_B, seeds_B)
        return Lesson(images=images, seeds=seeds_B, answers=encode(self.teacher.logits(images), self.topk))
