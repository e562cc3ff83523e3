"""How the learning rate and the weight decay change while a training goes on.

Every point in time is a share of the whole training, 0 to 1, so that a shorter training keeps the shape. Recipes may
write it as a fraction: `warmup: 5/300` is 5 epochs of 300.
"""

import math
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the schedules: a linear rise from `warmup_start` of the peak, over the `warmup` share of the training."""

    warmup: Share = 0.0
    warmup_start: Share = 0.001

    def share(self, progress: float) -> float:
        """The share of the peak learning rate when so much of the training is done."""
        if progress < self.warmup:
            return self.warmup_start + (1 - self.warmup_start) * progress / self.warmup
        return self.after_warmup(progress)

    def after_warmup(self, progress: float) -> float:
        """The share once the rise is over."""
        raise NotImplementedError


class Constant(Schedule, frozen=True, kw_only=True, tag="constant"):
    """The peak, to the end."""

    def after_warmup(self, progress: float) -> float:
        """1."""
        return 1.0


class Cosine(Schedule, frozen=True, kw_only=True, tag="cosine"):
    """Half a cosine from the peak, where the rise ends, down to `final` of it."""

    final: Share = 0.0

    def after_warmup(self, progress: float) -> float:
        """1 falling to `final`."""
        return cosine(1.0, self.final, (progress - self.warmup) / max(1 - self.warmup, 1e-9))


class Exponential(Schedule, frozen=True, kw_only=True, tag="exponential"):
    """Times `factor` after every `every` share of the training, counted from its start; smoothly unless `staircase`."""

    factor: Share
    every: Annotated[float, msgspec.Meta(gt=0, le=1)]
    staircase: bool = True

    def after_warmup(self, progress: float) -> float:
        """A power of the factor."""
        times = progress / self.every
        return self.factor ** (math.floor(times + 1e-9) if self.staircase else times)


class Step(Schedule, frozen=True, kw_only=True, tag="step"):
    """Times `factor` at every one of the points `at`."""

    factor: Share = 0.1
    at: tuple[Share, ...]

    def after_warmup(self, progress: float) -> float:
        """A power of the factor."""
        return self.factor ** sum(progress >= point for point in self.at)


AnySchedule = Constant | Cosine | Exponential | Step


class Annealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A weight decay that goes from `start` to `end` along half a cosine.

    Source: MobileOne, arXiv:2206.04040, section 4 (1e-4 to 1e-5, along the learning rate's cosine).
    """

    start: Annotated[float, msgspec.Meta(ge=0)]
    end: Annotated[float, msgspec.Meta(ge=0)]

    def at(self, progress: float) -> float:
        """The weight decay when so much of the training is done."""
        return cosine(self.start, self.end, progress)


def cosine(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
