"""Plain convolutions, and MobileNetV1's depthwise separable one."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase, to_map
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import ActivationKind
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Recipe, chain
from ridgepoint.arch.roles import Kernel, Out, Squeeze, Stride
from ridgepoint.arch.shape import Shape


class Conv(BlockBase, frozen=True, tag="conv"):
    """A convolution with batch norm and activation; tokens become a map again first."""

    look: ClassVar = Look("conv", "convolution", "Conv", "slate")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    bias: bool = False
    activation: ActivationKind | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[To map], conv, norm, activation."""
        unit = conventions.conv(
            shape.channels,
            self.out_channels,
            kernel=self.kernel,
            stride=self.stride,
            bias=self.bias,
            activation=self.activation or conventions.activation,
        )
        return chain(to_map=to_map(shape), **dict(unit.parts))


class Separable(BlockBase, frozen=True, tag="separable"):
    """MobileNetV1's depthwise separable convolution; squeeze-excitation between its halves makes it PP-LCNet's.

    Source: MobileNetV1, arXiv:1704.04861, section 3.1; PP-LCNet, arXiv:2109.15099, section 3.
    """

    look: ClassVar = Look("separable", "separable convolution", "Separable", "teal")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    activation: ActivationKind | None = None
    se_channels: Squeeze | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Depthwise, [squeeze-excitation], pointwise; no residual."""
        activation, channels = self.activation or conventions.activation, shape.channels
        return chain(
            depthwise=conventions.depthwise(channels, kernel=self.kernel, stride=self.stride, activation=activation),
            se=conventions.squeeze_excite(channels, self.se_channels),
            pointwise=conventions.conv(shape.channels, self.out_channels, activation=activation),
        )
