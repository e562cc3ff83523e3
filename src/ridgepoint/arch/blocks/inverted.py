"""Inverted bottlenecks: MobileNetV2 and V3's, EfficientNet-EdgeTPU's fused one, MobileNetV4's universal one."""

from typing import ClassVar

import msgspec

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import ActivationKind, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Recipe, chain, residual
from ridgepoint.arch.roles import Expansion, Groups, Kernel, KernelOrNone, Out, Residual, Squeeze, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError

# The looks of a universal inverted bottleneck; as IB it is drawn as that block is.
VARIANTS = {
    "ExtraDW": Look("extra_dw", "ExtraDW", "", "violet"),
    "IB": Look("ib", "inverted bottleneck (IB)", "", "blue"),
    "ConvNext": Look("conv_next", "ConvNext", "", "green"),
    "FFN": Look("ffn", "FFN", "", "amber"),
}


class InvertedBottleneck(BlockBase, frozen=True, tag="ib"):
    """Expand, depthwise with the stride, optional squeeze-excitation, linear projection.

    The expansion is left out when it would not widen, unless `always_expand`. `residual` left open means: where the
    shapes allow it. Without `early_norms` the first two convolutions have biases instead of norms, as in EfficientViT.

    Source: MobileNetV2, arXiv:1801.04381, section 3.3; MobileNetV3, arXiv:1905.02244, section 5.
    """

    look: ClassVar = Look("ib", "inverted bottleneck (IB)", "IB", "blue")
    expand_channels: Expansion
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    se_channels: Squeeze | None = None
    activation: ActivationKind | None = None
    residual: Residual = None
    always_expand: bool = False
    early_norms: bool = True

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[expand], depthwise, [squeeze-excitation], project; plus the input if residual."""
        activation = self.activation or conventions.activation
        wide = self.expand_channels
        expands = self.always_expand or wide != shape.channels
        normed = self.early_norms
        body = chain(
            expand=conventions.conv(shape.channels, wide, bias=not normed, norm=normed, activation=activation)
            if expands
            else None,
            depthwise=conventions.conv(
                wide,
                wide,
                kernel=self.kernel,
                stride=self.stride,
                groups=wide,
                bias=not normed,
                norm=normed,
                activation=activation,
            ),
            se=conventions.squeeze_excite(wide, self.se_channels),
            project=conventions.conv(wide, self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body


class FusedInvertedBottleneck(BlockBase, frozen=True, tag="fused_ib"):
    """An inverted bottleneck whose expansion and depthwise are one dense convolution, or one of few groups.

    Source: EfficientNet-EdgeTPU; MobileNet-EdgeTPU v2 for groups; MobileNetV4, arXiv:2404.10518, Tables 11 to 15.
    """

    look: ClassVar = Look("fused_ib", "fused inverted bottleneck", "Fused IB", "orange")
    expand_channels: Expansion
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    groups: Groups = 1
    activation: ActivationKind | None = None
    residual: Residual = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Expansion with the stride, linear projection; plus the input if residual."""
        if shape.channels % self.groups or self.expand_channels % self.groups:
            raise ArchitectureError(
                f"a fused_ib has groups {self.groups}, and {shape.channels} channels become {self.expand_channels}. "
                "Allowed: groups that divide both"
            )
        body = chain(
            expand=conventions.conv(
                shape.channels,
                self.expand_channels,
                kernel=self.kernel,
                stride=self.stride,
                groups=self.groups,
                activation=self.activation or conventions.activation,
            ),
            project=conventions.conv(self.expand_channels, self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body


class UniversalInvertedBottleneck(BlockBase, frozen=True, tag="uib"):
    """An inverted bottleneck with two optional depthwise convolutions; a kernel of 0 leaves one out.

    Both are ExtraDW, only the middle IB, only the start ConvNext, none FFN. The stride sits in the middle depthwise,
    or in the start one where there is no middle.

    Source: MobileNetV4, arXiv:2404.10518, section 4.1.
    """

    look: ClassVar = Look("extra_dw", "ExtraDW", "UIB", "violet")
    expand_channels: Expansion
    out_channels: Out
    start_kernel: KernelOrNone = 0
    middle_kernel: KernelOrNone = 0
    stride: Stride = 1
    activation: ActivationKind | None = None
    residual: Residual = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[start depthwise, linear], expand, [middle depthwise], project, [layer scale]; plus the input if residual."""
        if self.stride > 1 and not (self.start_kernel or self.middle_kernel):
            raise ArchitectureError(
                f"a uib with stride {self.stride} needs a depthwise convolution: give start_kernel or middle_kernel"
            )
        activation = self.activation or conventions.activation
        wide = self.expand_channels
        start_stride = 1 if self.middle_kernel else self.stride
        body = chain(
            start_depthwise=conventions.depthwise(shape.channels, kernel=self.start_kernel, stride=start_stride)
            if self.start_kernel
            else None,
            expand=conventions.conv(shape.channels, wide, activation=activation),
            middle_depthwise=conventions.depthwise(
                wide, kernel=self.middle_kernel, stride=self.stride, activation=activation
            )
            if self.middle_kernel
            else None,
            project=conventions.conv(wide, self.out_channels),
            layer_scale=conventions.scale(self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body

    @property
    def variant(self) -> str:
        """The paper's name of this instantiation."""
        return {(True, True): "ExtraDW", (False, True): "IB", (True, False): "ConvNext", (False, False): "FFN"}[
            (self.start_kernel > 0, self.middle_kernel > 0)
        ]

    def own_look(self) -> Look:
        """One of its own for every instantiation."""
        return msgspec.structs.replace(VARIANTS[self.variant], name=f"UIB {self.variant}")


def _adds(block: InvertedBottleneck | FusedInvertedBottleneck | UniversalInvertedBottleneck, shape: Shape) -> bool:
    if block.residual is not None:
        return block.residual
    return block.stride == 1 and block.out_channels == shape.channels
