"""Random images, and weights in which no branch is negligible."""

import torch
from torch import Tensor

from ridgepoint.testing.weights import randomise, relative_error

__all__ = ["image", "randomise", "relative_error"]


def image(*size: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """A random image batch of the given shape."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(dtype)
