"""Rewards of a sampled network: its accuracy, and what its latency is against the target.

Accuracy is a share between 0 and 1.
"""

import math
from typing import Annotated

import msgspec

Negative = Annotated[float, msgspec.Meta(le=0)]


class Reward(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """Base of the rewards."""

    def __call__(self, accuracy: float, ms: float, target_ms: float) -> float:
        """The reward of one network."""
        raise NotImplementedError


class Absolute(Reward, frozen=True, kw_only=True, tag="absolute"):
    """Accuracy + beta * |latency / target - 1|: latencies below the target cost as those above it do.

    Source: TuNAS, arXiv:2008.06120, section 4; beta from its released code.
    """

    beta: Negative = -0.10

    def __call__(self, accuracy: float, ms: float, target_ms: float) -> float:
        """Accuracy where the target is met exactly, less elsewhere."""
        return accuracy + self.beta * abs(ms / target_ms - 1.0)


class Soft(Reward, frozen=True, kw_only=True, tag="soft"):
    """Accuracy * (latency / target) ** beta, on both sides of the target.

    Source: MnasNet, arXiv:1807.11626, section 3: at -0.07 twice the latency has to bring 5 % more accuracy.
    """

    beta: Negative = -0.07

    def __call__(self, accuracy: float, ms: float, target_ms: float) -> float:
        """Accuracy, more below the target and less above it."""
        return accuracy * math.pow(ms / target_ms, self.beta)


class Hard(Reward, frozen=True, kw_only=True, tag="hard"):
    """Accuracy up to the target, accuracy * (latency / target) ** beta above it.

    Source: MnasNet, arXiv:1807.11626, section 3.
    """

    beta: Negative = -1.0

    def __call__(self, accuracy: float, ms: float, target_ms: float) -> float:
        """Accuracy, less above the target."""
        return accuracy * min(math.pow(ms / target_ms, self.beta), 1.0)


AnyReward = Absolute | Soft | Hard
