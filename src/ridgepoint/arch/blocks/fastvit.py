"""FastViT's blocks: token mixers that fold into one depthwise convolution, attention, and a reduction."""

from typing import ClassVar

from ridgepoint.arch.attention import MultiHeadAttention
from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.blocks.mobileone import rep_unit
from ridgepoint.arch.branches import summed
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, Add, Conv2d, StochasticDepth, Subtract
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Expansion, Heads, Kernel, KernelOrNone, NormsAt, Out, Squeeze, Stride
from ridgepoint.arch.shape import Shape

WIDEN = 2  # what the large kernel of a reduction makes of the channels


class RepMixer(BlockBase, frozen=True, tag="rep_mixer"):
    """Add scale * (a re-parameterisable depthwise unit less a norm), then scale * MLP; the mixer folds into one.

    It has no `norms`: without norms the unit's identity and what is taken off would cancel.

    Source: FastViT, arXiv:2303.14189, section 3.2.
    """

    look: ClassVar = Look("rep_mixer", "RepMixer", "RepMixer", "teal")
    expand_channels: Expansion
    kernel: Kernel = 3
    mlp_kernel: Kernel = 7

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The mixer, and the MLP, each plus its input."""
        channels = shape.channels
        unit = rep_unit(channels, channels, conventions, 1, kernel=self.kernel, groups=channels, activation="none")
        norm = chain(norm=conventions.norm(channels))
        mixer = chain(
            mix=Parallel((("mixer", unit), ("less", norm)), Subtract()),
            layer_scale=conventions.scale(channels),
        )
        return chain(mixer=residual(mixer), mlp=_mlp(channels, self.expand_channels, self.mlp_kernel, conventions))


class NormedAttention(BlockBase, frozen=True, tag="normed_attention"):
    """[Add a depthwise convolution], add scale * attention of the norm, then scale * MLP.

    Source: FastViT, arXiv:2303.14189, section 3.2; arXiv:2102.10882 for positions told by a convolution.
    """

    look: ClassVar = Look("attention", "attention", "Normed attention", "rose")
    expand_channels: Expansion
    heads: Heads
    key_dim: Dim
    value_dim: Dim
    position_kernel: KernelOrNone = 0
    mlp_kernel: Kernel = 7

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[Positions], attention, MLP, each plus its input."""
        channels = shape.channels
        wide = self.heads * (2 * self.key_dim + self.value_dim)
        position = conventions.conv(
            channels, channels, kernel=self.position_kernel or 1, groups=channels, bias=True, norm=False
        )
        attention = chain(
            norm=conventions.norm(channels),
            qkv=Conv2d(in_channels=channels, out_channels=wide),
            attention=MultiHeadAttention(heads=self.heads, key_dim=self.key_dim, value_dim=self.value_dim),
            project=Conv2d(in_channels=self.heads * self.value_dim, out_channels=channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        return chain(
            position=Parallel((("skip", IDENTITY), ("conv", position)), Add()) if self.position_kernel else None,
            attention=residual(attention),
            mlp=_mlp(channels, self.expand_channels, self.mlp_kernel, conventions),
        )


class LargeKernelReduction(BlockBase, frozen=True, tag="large_kernel_down"):
    """A large and a 3x3 kernel with the stride, two outputs a channel, folding into one; then a 1x1 unit.

    MobileCLIP's has squeeze-excitation and an activation after the kernels. With `norms: sum` one norm follows each
    sum, and those of its smaller kernels and of its identity go.

    Source: FastViT, arXiv:2303.14189, section 3.3 ("patch embedding"); MobileCLIP, arXiv:2311.17049, section 4.1;
    QARepVGG, arXiv:2212.01593, for `norms: sum`.
    Differs: the released networks have twice the channels after it; here `out_channels` may be others.
    """

    look: ClassVar = Look("large_kernel", "large-kernel reduction", "Large-kernel reduction", "orange")
    out_channels: Out
    kernel: Kernel = 7
    stride: Stride = 2
    se_channels: Squeeze | None = None
    large_activation: bool = False
    norms: NormsAt = "branches"

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both kernels summed, [squeeze-excitation], [activation]; 1x1 unit."""
        channels, wide = shape.channels, WIDEN * shape.channels
        kernels = {"large": self.kernel, "small": min(3, self.kernel)}
        return chain(
            **summed(kernels, channels, wide, conventions, self.norms, stride=self.stride, groups=channels),
            se=squeeze_excite(wide, self.se_channels, "sigmoid") if self.se_channels else None,
            act=Activation(kind=conventions.activation) if self.large_activation else None,
            pointwise=rep_unit(wide, self.out_channels, conventions, 1, norms=self.norms),
        )


def _mlp(channels: int, wide: int, kernel: int, conventions: Conventions) -> Parallel:
    """The input plus scale * (depthwise with a norm, 1x1 expansion, 1x1 projection; both biased, without norms)."""
    return residual(
        chain(
            depthwise=conventions.depthwise(channels, kernel=kernel),
            expand=conventions.conv(channels, wide, bias=True, norm=False, activation=conventions.activation),
            project=Conv2d(in_channels=wide, out_channels=channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
    )
