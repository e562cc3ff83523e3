"""The plain network in which activations, skip connections and squeeze-excitation are compared."""

from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.blocks.mobileone import MobileOne
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import ActivationKind
from ridgepoint.arch.network import Network, Stage


def thirty_layers(activation: ActivationKind = "relu", *, se: bool = False) -> Network:
    """Thirty convolutions: a stem, 14 pairs of depthwise and pointwise, a last pointwise one.

    Differs: MobileOne's own network of 30 layers is not told in the paper; this one has its blocks and S0's widths.
    """

    def stage(channels: int, blocks: int) -> Stage:
        row = MobileOne(out_channels=channels, se=se)
        first = MobileOne(out_channels=channels, se=se, stride=2)
        return Stage(blocks=(first, *[row] * (blocks - 1)))

    return Network(
        name="thirty_layers",
        input=(3, 224, 224),
        conventions=Conventions(activation=activation),
        stem=(Conv(out_channels=48, stride=2),),
        stages=(
            stage(48, 2),
            stage(128, 6),
            stage(256, 6),
            Stage(blocks=(Conv(out_channels=512, kernel=1),)),
        ),
    )
