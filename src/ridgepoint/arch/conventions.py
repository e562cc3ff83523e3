"""What all blocks of a network share, and the units they are made of."""

from typing import Annotated, Literal

import msgspec

from ridgepoint.arch.layer import Activation, ActivationKind, BatchNorm, Conv2d, Gate, GlobalPool, LayerScale, Padding
from ridgepoint.arch.norms import RmsNorm
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, chain


class Conventions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all blocks of a network share unless a row says otherwise.

    `se_activation` and `se_gate` are squeeze-excitation's own two functions: MobileNetV3's here, SiLU and the sigmoid
    in EfficientNet. Norms are of the batch, and fold, or `rms`, of each position, and stay.
    """

    activation: ActivationKind = "relu"
    se_activation: ActivationKind = "relu"
    se_gate: ActivationKind = "hard_sigmoid"
    padding: Padding = "symmetric"
    norm_eps: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1e-5
    norm_momentum: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    layer_scale: Annotated[float, msgspec.Meta(ge=-100, le=100)] | None = None
    norm_kind: Literal["batch", "rms"] = "batch"

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        activation: ActivationKind = "none",
    ) -> Chain:
        """Convolution, batch norm and activation, the unit that runtimes fuse into one pass."""
        return chain(
            conv=Conv2d(
                in_channels=in_channels,
                out_channels=out_channels,
                kernel=kernel,
                stride=stride,
                groups=groups,
                bias=bias,
                padding=self.padding,
            ),
            norm=self.norm(out_channels) if norm else None,
            act=None if activation == "none" else Activation(kind=activation),
        )

    def depthwise(self, channels: int, *, kernel: int, stride: int = 1, activation: ActivationKind = "none") -> Chain:
        """A depthwise convolution, batch norm and activation."""
        return self.conv(channels, channels, kernel=kernel, stride=stride, groups=channels, activation=activation)

    def squeeze_excite(self, channels: int, squeeze_channels: int | None) -> Parallel | None:
        """Squeeze-excitation with the network's functions, where there are channels to squeeze to."""
        return (
            squeeze_excite(channels, squeeze_channels, self.se_gate, self.se_activation) if squeeze_channels else None
        )

    def norm(self, channels: int) -> BatchNorm | RmsNorm:
        """The network's norm."""
        if self.norm_kind == "rms":
            return RmsNorm(channels=channels, eps=self.norm_eps)
        return BatchNorm(channels=channels, eps=self.norm_eps, momentum=self.norm_momentum)

    def scale(self, channels: int) -> LayerScale | None:
        """The network's layer scale, if it has one."""
        return None if self.layer_scale is None else LayerScale(channels=channels, init=self.layer_scale)


def squeeze_excite(
    channels: int, squeeze_channels: int, gate: ActivationKind, activation: ActivationKind = "relu"
) -> Parallel:
    """Scale every channel by a gate computed from its mean.

    Source: arXiv:1709.01507, section 3; MobileNetV3 (arXiv:1905.02244) uses the hard sigmoid as gate.
    """
    return Parallel(
        (
            ("features", IDENTITY),
            (
                "gate",
                chain(
                    pool=GlobalPool(),
                    reduce=Conv2d(in_channels=channels, out_channels=squeeze_channels, bias=True),
                    act=Activation(kind=activation),
                    expand=Conv2d(in_channels=squeeze_channels, out_channels=channels, bias=True),
                    gate=Activation(kind=gate),
                ),
            ),
        ),
        Gate(),
    )
