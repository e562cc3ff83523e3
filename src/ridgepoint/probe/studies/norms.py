"""Convolution with batch norm against linear layer with layer norm."""

from ridgepoint.arch.blocks.inverted import UniversalInvertedBottleneck
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Activation, LayerNorm, Linear, ToTokens
from ridgepoint.arch.network import Network, Stage
from ridgepoint.arch.recipe import Chain, chain, residual
from ridgepoint.arch.shape import Shape
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.variant import body, of_recipe

_SHAPE, _BLOCKS, _WIDE = Shape(224, 14, 14), 6, 896

_CONVOLUTIONS = Network(
    name="mlp",
    input=(_SHAPE.channels, _SHAPE.height, _SHAPE.width),
    conventions=Conventions(activation="gelu"),
    stem=(),
    stages=(
        Stage(
            blocks=(UniversalInvertedBottleneck(expand_channels=_WIDE, out_channels=_SHAPE.channels),) * _BLOCKS,
        ),
    ),
)


def _tokens(*, norm: bool) -> Chain:
    block = residual(
        chain(
            norm=LayerNorm(channels=_SHAPE.channels) if norm else None,
            expand=Linear(in_features=_SHAPE.channels, out_features=_WIDE),
            act=Activation(kind="gelu"),
            project=Linear(in_features=_WIDE, out_features=_SHAPE.channels),
        )
    )
    return chain(to_tokens=ToTokens(), **{f"block{index}": block for index in range(_BLOCKS)})


STUDY = Study(
    name="norms",
    title="Convolution and batch norm, or linear layer and layer norm?",
    about="Six MLP blocks (224 channels, four times expanded, GELU, residual) at 14x14: 1x1 convolutions whose batch "
    "norm folds away, the same exported with the norms left in, linear layers after a layer norm, linear layers alone.",
    source="EfficientFormer, arXiv:2206.01191, section 3, observation 3",
    variants={
        "Conv-BN": body(_CONVOLUTIONS),
        "unfolded Conv-BN": body(_CONVOLUTIONS, folded=False),
        "LN-Linear": of_recipe(_tokens(norm=True), _SHAPE),
        "Linear": of_recipe(_tokens(norm=False), _SHAPE),
    },
    published=tuple(
        Published(
            f"iPhone 12, Core ML, whole networks, {end} end",
            "EfficientFormer, section 3",
            {"LN-Linear": 100.0, "Linear": without},
            unit="% of the latency",
        )
        for end, without in (("lower", 90.0), ("upper", 80.0))
    ),
    findings=(
        Finding(
            claim="Conv-BN is faster than LN-Linear.",
            over="LN-Linear",
            under="Conv-BN",
            at_least=SLOWER,
        ),
        Finding(
            claim="Layer norm, which cannot be folded, costs time.",
            over="LN-Linear",
            under="Linear",
            at_least=SLOWER,
        ),
        Finding(
            claim="Batch norm is free: left in the file it costs no time.",
            over="unfolded Conv-BN",
            under="Conv-BN",
            at_most=SLOWER,
        ),
    ),
)
