"""Sums of parallel convolutions that fold into one, and where their batch norms are."""

from collections.abc import Mapping

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Add
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain
from ridgepoint.arch.roles import NormsAt


def summed(
    kernels: Mapping[str, int],
    in_channels: int,
    out_channels: int,
    conventions: Conventions,
    norms: NormsAt,
    *,
    stride: int = 1,
    groups: int = 1,
    skip: bool = False,
) -> dict[str, Recipe | None]:
    """Parts of a chain: convolutions of one input added up, perhaps with the input itself, and a norm of the sum.

    With `norms` in the `branches` every summand has one. Each is divided by a deviation of its own, so after folding
    some channels of the kernel, and of what it gives, are far larger than others, and 8 bits lose the small ones. With
    a norm of the `sum` only convolutions of the largest kernel have norms of their own, and one follows the sum.

    Args:
        kernels: The size of every convolution, by its name.
        in_channels: Of the input.
        out_channels: Of the sum.
        conventions: Of the network.
        norms: Where norms are.
        stride: Of every convolution.
        groups: Of every convolution.
        skip: Whether the input is added too.

    Source: RepVGG, arXiv:2101.03697, section 3.2, for `branches`; QARepVGG, arXiv:2212.01593, for `sum`.
    Differs: QARepVGG has a 3x3, a 1x1 and an identity; where there are several convolutions of the largest kernel, or
    no other than 1x1, as in MobileOne, all of those keep their norms.
    """
    everywhere, largest = norms == "branches", max(kernels.values())
    branches: dict[str, Recipe] = {
        name: conventions.conv(
            in_channels,
            out_channels,
            kernel=kernel,
            stride=stride,
            groups=groups,
            norm=everywhere or kernel == largest,
        )
        for name, kernel in kernels.items()
    }
    if skip:
        branches["skip"] = chain(norm=conventions.norm(in_channels)) if everywhere else IDENTITY
    return {
        "rep": Parallel(tuple(branches.items()), Add()),
        "norm": None if everywhere else conventions.norm(out_channels),
    }
