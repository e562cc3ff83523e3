"""Keys and values at half the resolution."""

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.network import Network, Stage
from ridgepoint.arch.zoo import load
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.variant import whole

_TABLE = "MobileNetV4, arXiv:2404.10518, Table 3"


def _full_resolution(network: Network) -> Network:
    """The network with keys and values of every attention at the resolution of its queries."""

    def row(block: Block) -> Block:
        return msgspec.structs.replace(block, kv_stride=1) if isinstance(block, MobileMultiQueryAttention) else block

    stages = tuple(Stage(blocks=tuple(row(block) for block in stage.blocks)) for stage in network.stages)
    return msgspec.structs.replace(network, stages=stages)


_HYBRID = load("mobilenetv4_hybrid_medium")

STUDY = Study(
    name="key_value_stride",
    title="Keys and values at half the resolution?",
    about="MobileNetV4-Hybrid-M as published, whose attention at 16x16 halves keys and values with a depthwise "
    "convolution, and without.",
    source=f"{_TABLE}, section 4.2",
    variants={"half resolution": whole(_HYBRID), "full resolution": whole(_full_resolution(_HYBRID))},
    published=(
        Published("Galaxy S23 CPU", _TABLE, {"full resolution": 15.8, "half resolution": 12.8}),
        Published("Galaxy S23 GPU", _TABLE, {"full resolution": 7.4, "half resolution": 5.9}),
    ),
    findings=(
        Finding(
            claim="Keys and values at full resolution are slower.",
            over="full resolution",
            under="half resolution",
            at_least=SLOWER,
        ),
    ),
)
