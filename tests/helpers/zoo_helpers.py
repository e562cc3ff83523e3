"""Networks of the zoo for laws of every network, or of every block that a family has."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load

FAMILIES = (
    "convnext_atto",
    "convnextv2_atto",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "efficientnet_b0",
    "efficientnet_es",
    "efficientvit_b0",
    "fastvit_t8",
    "fbnetc_100",
    "fbnetv3_b",
    "hardcorenas_a",
    "lcnet_050",
    "mnasnet_050",
    "mobilenetv1_100",
    "mobilenetv2_050",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "mobilenetv4_hybrid_medium_075",
    "mobileone_s0",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "poolformer_s12",
    "repghostnet_050",
    "repvgg_a0",
    "repvit_m0_9",
    "semnasnet_075",
    "shufflenet_v2_x0_5",
    "shvit_s1",
    "starnet_s050",
    "tf_efficientnet_lite0",
    "tf_mobilenetv2_100",
    "tf_mobilenetv3_small_minimal_100",
)

FURTHER = (
    "efficientnet_em",
    "fastvit_mci0",
    "fastvit_sa12",
    "hardcorenas_b",
    "hardcorenas_e",
    "mobilenet_edgetpu_100",
    "mobilenet_edgetpu_v2_s",
    "mobilenet_edgetpu_v2_xs",
    "mobilenetv5_base",
    "mobileone_s1",
    "mobileone_s4",
    "tf_mobilenetv3_small_075",
)
"""Further classifiers that have what none of these has: a form of a block, or conventions."""


def every(names: Iterable[str]) -> list[Any]:
    """Parameters of a test: those of each family, the further ones, which are slow, and the others for `make soak`."""

    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [] if name in (*FAMILIES, *FURTHER) else [pytest.mark.soak]

    return [pytest.param(name, marks=marks(name)) for name in names]


def of_new_kinds(names: Iterable[str]) -> list[Any]:
    """Parameters of a test: networks with a kind of block, head, padding or norm that none before has, the others for
    `make soak`."""
    found, seen = [], set[str]()
    for name in names:
        network = load(name)
        kinds = {part.tag() for _, part in network.rows()} | {network.head.tag()}
        kinds |= {network.conventions.padding, network.conventions.norm_kind}
        found.append(pytest.param(name, marks=[pytest.mark.soak] * (kinds <= seen)))
        seen |= kinds
    return found


def forms(name: str) -> set[tuple[object, ...]]:
    """What distinguishes a network's blocks from others but for their sizes and its conventions."""
    network = load(name)
    return {form(row) for _, row in network.rows()} | {tuple(msgspec.to_builtins(network.conventions).items())}


def form(row: msgspec.Struct) -> tuple[object, ...]:
    """What distinguishes a block or a head from others but for its sizes."""
    found, sizes = msgspec.to_builtins(row), ("out_channels", "expand_channels")
    return tuple(
        (key, value if isinstance(value, str) else bool(value)) for key, value in found.items() if key not in sizes
    )


def brief(name: str, **size: int) -> Network:
    """A network of the zoo for what is true of each block by itself: of every stage the first, and each form once."""
    network, seen = load(name).at(**size), set[object]()

    def new(block: Block) -> bool:
        found = form(block)
        return found not in seen and not seen.add(found)

    stages = []
    for stage in network.stages:
        first, *others = stage.blocks
        new(first)
        stages.append(msgspec.structs.replace(stage, blocks=(first, *filter(new, others))))
    return msgspec.structs.replace(network, stages=tuple(stages))
