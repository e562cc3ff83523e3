"""Pooling against attention as token mixer."""

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.blocks.efficientformer import AttentionMixer, PoolMixer
from ridgepoint.arch.blocks.inverted import UniversalInvertedBottleneck
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.classification import TokenHead
from ridgepoint.arch.network import Network, Stage
from ridgepoint.probe.finding import Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant, body

_SIZES = {"7x7": (448, 7), "14x14": (224, 14)}  # channels and side of EfficientFormer-L1's last two stages


def _four(block: Block, channels: int, side: int) -> Variant:
    conventions = Conventions(activation="gelu", layer_scale=1e-5)
    return body(
        Network(
            name="mixers",
            input=(channels, side, side),
            conventions=conventions,
            stem=(),
            stages=(Stage(blocks=(block,) * 4),),
            head=TokenHead(),
        )
    )


def _mixers(channels: int) -> dict[str, Block]:
    return {
        "MLP alone": UniversalInvertedBottleneck(expand_channels=4 * channels, out_channels=channels),
        "pooling and MLP": PoolMixer(expand_channels=4 * channels),
        "attention and MLP": AttentionMixer(expand_channels=4 * channels, heads=8, key_dim=32, value_dim=128),
    }


STUDY = Study(
    name="mixers",
    title="Is attention the bottleneck?",
    about="Four of EfficientFormer-L1's blocks at the sizes of its last two stages. All have the same MLP; they "
    "differ in what mixes positions: nothing, pooling, or attention with 8 heads.",
    source="EfficientFormer, arXiv:2206.01191, section 3, observation 2",
    variants={
        f"{mixer} at {size}": _four(block, channels, side)
        for size, (channels, side) in _SIZES.items()
        for mixer, block in _mixers(channels).items()
    },
    findings=tuple(
        Finding(
            claim=f"Attention is no bottleneck by itself: at {size} its MACs take no longer than the MLP's.",
            over=f"attention and MLP at {size}",
            under=f"MLP alone at {size}",
            at_most=1.1,
            quantity="time per MAC",
        )
        for size in _SIZES
    ),
)
