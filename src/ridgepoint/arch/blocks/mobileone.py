"""MobileOne's blocks, trained as sums of branches that fold into one convolution."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, ActivationKind, Add
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Branches, Count, Kernel, Out, SqueezeExcite, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class RepConv(BlockBase, frozen=True, tag="rep_conv"):
    """A convolution trained as a sum of branches that fold into one: `branches` copies, a 1x1 and an identity.

    Where it is `depthwise`, `out_channels` are the input's.

    Source: MobileOne, arXiv:2206.04040, section 3.2.
    """

    look: ClassVar = Look("rep_conv", "RepConv", "RepConv", "amber")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    branches: Branches = 1
    depthwise: bool = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """A re-parameterisable convolution and an activation."""
        if self.depthwise and self.out_channels != shape.channels:
            raise ArchitectureError(
                f"a depthwise rep_conv has out_channels {self.out_channels}, and its input is {shape}. Allowed: "
                f"{shape.channels}"
            )
        groups = shape.channels if self.depthwise else 1
        return rep_unit(
            shape.channels, self.out_channels, conventions, self.branches, kernel=self.kernel, stride=self.stride,
            groups=groups,
        )  # fmt: skip


class MobileOne(BlockBase, frozen=True, tag="mobileone"):
    """A re-parameterisable depthwise convolution with the stride, then a re-parameterisable pointwise one.

    Squeeze-excitation, where asked for, squeezes to a sixteenth and sits before each activation.

    Source: MobileOne, arXiv:2206.04040, section 3.2 and Table 7.
    """

    look: ClassVar = Look("mobileone", "MobileOne", "MobileOne", "teal")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    branches: Branches = 1
    se: SqueezeExcite = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Depthwise unit, pointwise unit."""
        channels = shape.channels
        return chain(
            depthwise=rep_unit(
                channels,
                channels,
                conventions,
                self.branches,
                kernel=self.kernel,
                stride=self.stride,
                groups=channels,
                se=self.se,
            ),
            pointwise=rep_unit(channels, self.out_channels, conventions, self.branches, se=self.se),
        )


def rep_unit(
    in_channels: int,
    out_channels: Out,
    conventions: Conventions,
    branches: Count,
    *,
    kernel: Kernel = 1,
    stride: Stride = 1,
    groups: int = 1,
    se: SqueezeExcite = False,
    activation: ActivationKind | None = None,
) -> Chain:
    """Sum of `branches` convolutions, a 1x1 one (where the kernel is larger) and an identity (where shapes allow)."""

    def folded(kernel: int) -> Chain:
        return conventions.conv(in_channels, out_channels, kernel=kernel, stride=stride, groups=groups)

    parallel: list[tuple[str, Recipe]] = [(f"conv{index}", folded(kernel)) for index in range(branches)]
    if kernel > 1:
        parallel.append(("scale", folded(1)))
    if stride == 1 and in_channels == out_channels:
        parallel.append(("skip", chain(norm=conventions.norm(in_channels))))
    return chain(
        rep=Parallel(tuple(parallel), Add()),
        se=squeeze_excite(out_channels, max(1, out_channels // 16), "sigmoid") if se else None,
        act=None if activation == "none" else Activation(kind=activation or conventions.activation),
    )
