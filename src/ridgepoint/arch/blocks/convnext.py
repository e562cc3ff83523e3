"""ConvNeXt's blocks, V1 and V2, and the patches by which it begins and reduces."""

from typing import ClassVar, Literal

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Activation, Conv2d, LayerNorm, PatchConv2d, StochasticDepth
from ridgepoint.arch.norms import ResponseNorm
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Recipe, chain, residual
from ridgepoint.arch.roles import Expansion, Kernel, KernelOrNone, Out, Stride
from ridgepoint.arch.shape import Shape


class ConvNeXt(BlockBase, frozen=True, tag="convnext"):
    """Depthwise, layer norm, expand, [response norm], project; scaled where the network has a layer scale.

    Source: ConvNeXt, arXiv:2201.03545, Figure 4; V2, arXiv:2301.00808, section 3.2, for the response norm.
    """

    look: ClassVar = Look("convnext", "ConvNeXt block", "ConvNeXt", "green")
    expand_channels: Expansion
    kernel: Kernel = 7
    response_norm: bool = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The block's layers, plus the input; every convolution has a bias and none a batch norm."""
        channels, wide = shape.channels, self.expand_channels
        return residual(
            chain(
                depthwise=Conv2d(
                    in_channels=channels, out_channels=channels, kernel=self.kernel, groups=channels, bias=True
                ),
                norm=LayerNorm(channels=channels, eps=conventions.norm_eps),
                expand=Conv2d(in_channels=channels, out_channels=wide, bias=True),
                act=Activation(kind=conventions.activation),
                response=ResponseNorm(channels=wide) if self.response_norm else None,
                project=Conv2d(in_channels=wide, out_channels=channels, bias=True),
                layer_scale=conventions.scale(channels),
                drop_path=StochasticDepth(),
            )
        )


class PatchConv(BlockBase, frozen=True, tag="patch_conv"):
    """A convolution of patches `stride` pixels apart, and a layer norm after it, before it, or none.

    Its kernel is a patch where `kernel` is 0, and else reaches over the borders of patches.

    Source: ConvNeXt, arXiv:2201.03545, sections 2.2 ("patchify stem") and 2.6 ("separate downsampling layers");
    PoolFormer, arXiv:2111.11418, for patches that overlap.
    """

    look: ClassVar = Look("patch_conv", "patch convolution", "Patch conv", "slate")
    out_channels: Out
    stride: Stride = 2
    kernel: KernelOrNone = 0
    norm: Literal["after", "before", "none"] = "after"

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[Norm], convolution, [norm]."""
        conv = PatchConv2d(
            in_channels=shape.channels,
            out_channels=self.out_channels,
            kernel=self.kernel or self.stride,
            stride=self.stride,
            bias=True,
        )

        def norm(channels: int) -> LayerNorm:
            return LayerNorm(channels=channels, eps=conventions.norm_eps)

        return chain(
            before=norm(shape.channels) if self.norm == "before" else None,
            conv=conv,
            after=norm(self.out_channels) if self.norm == "after" else None,
        )
