"""MobileOne's blocks, trained as sums of branches that fold into one convolution."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.branches import summed
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, ActivationKind
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Chain, Recipe, chain
from ridgepoint.arch.roles import Branches, Count, Kernel, NormsAt, Out, SqueezeExcite, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class RepConv(BlockBase, frozen=True, tag="rep_conv"):
    """A convolution trained as a sum of branches that fold into one: `branches` copies, a 1x1 and an identity.

    Where it is `depthwise`, `out_channels` are the input's. With `norms: sum` one norm follows the sum, and those of
    the 1x1 and the identity go, which is for 8 bits.

    Source: MobileOne, arXiv:2206.04040, section 3.2; QARepVGG, arXiv:2212.01593, for `norms: sum`.
    Differs: QARepVGG has one convolution beside the 1x1; here `branches` of them keep a norm each.
    """

    look: ClassVar = Look("rep_conv", "RepConv", "RepConv", "amber")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    branches: Branches = 1
    depthwise: bool = False
    norms: NormsAt = "branches"

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
            groups=groups, norms=self.norms,
        )  # fmt: skip


class MobileOne(BlockBase, frozen=True, tag="mobileone"):
    """A re-parameterisable depthwise convolution with the stride, then a re-parameterisable pointwise one.

    Squeeze-excitation, where asked for, squeezes to a sixteenth and sits before each activation. `norms` are as in
    `rep_conv`.

    Source: MobileOne, arXiv:2206.04040, section 3.2 and Table 7; QARepVGG, arXiv:2212.01593, for `norms: sum`.
    Differs: QARepVGG knows dense 3x3 convolutions alone; in the 1x1 unit the 1x1 convolutions keep their norms.
    """

    look: ClassVar = Look("mobileone", "MobileOne", "MobileOne", "teal")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    branches: Branches = 1
    se: SqueezeExcite = False
    norms: NormsAt = "branches"

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
                norms=self.norms,
            ),
            pointwise=rep_unit(channels, self.out_channels, conventions, self.branches, se=self.se, norms=self.norms),
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
    norms: NormsAt = "branches",
) -> Chain:
    """Sum of `branches` convolutions, a 1x1 one (where the kernel is larger) and an identity (where shapes allow)."""
    kernels = {f"conv{index}": kernel for index in range(branches)} | ({"scale": 1} if kernel > 1 else {})
    skip = stride == 1 and in_channels == out_channels
    return chain(
        **summed(kernels, in_channels, out_channels, conventions, norms, stride=stride, groups=groups, skip=skip),
        se=squeeze_excite(out_channels, max(1, out_channels // 16), "sigmoid") if se else None,
        act=None if activation == "none" else Activation(kind=activation or conventions.activation),
    )
