"""How the learning rate changes while a training goes on."""

import math


def schedule(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear rise, then half a cosine down to 0."""
    if progress < warmup:
        return max(progress, 1e-3 * warmup) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1 - warmup, 1e-9)))
