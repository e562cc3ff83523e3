"""Random numbers as a function of one seed a sample: what happens to an image depends on nothing else in its batch.

So a batch can be divided between processes, and an augmentation be replayed from the seed that was noted.

Shapes: B batch, K draws a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def sample_seeds(seed: int, count: int) -> np.ndarray:
    """One 64-bit seed for each of the first `count` samples of a place, uint64 (B,)."""
    return _scramble(np.uint64(seed), np.arange(count, dtype=np.uint64))


def uniform(seeds_B: np.ndarray, count: int) -> torch.Tensor:
    """Numbers in 0..1 that each sample's seed decides, float32 (K, B).

    Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    import torch

    bits_KB = _scramble(seeds_B.astype(np.uint64), np.arange(count, dtype=np.uint64)[:, None])
    return torch.from_numpy((bits_KB >> np.uint64(40)).astype(np.float32)).mul_(2**-24)


def _scramble(seed: np.ndarray | np.uint64, index: np.ndarray) -> np.ndarray:
    """The index-th output of SplitMix64 for a seed; arithmetic is modulo 2**64."""
    with np.errstate(over="ignore"):
        z = seed + (index + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
