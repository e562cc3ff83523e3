"""Whole-network edits: width multipliers, fewer strides for small images, dilated kernels instead, norms elsewhere."""

from collections.abc import Collection

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.arch.layer import round_channels
from ridgepoint.arch.network import Network, Stage, place_blocks
from ridgepoint.arch.roles import EXPANSION, NORMS, OUT, SQUEEZE, NormsAt
from ridgepoint.errors import ArchitectureError


def scale_width(network: Network, width: float, *, keep: Collection[str] = ()) -> Network:
    """Multiply every block's channels and round to 8, keeping each block's expansion ratio.

    Squeeze-excitation stays a quarter of the expansion. The classifier's input (`hidden`, and a head convolution
    without hidden layer) never shrinks, as in all MobileNets.

    Args:
        network: The network to scale.
        width: The multiplier, above 0.
        keep: Parts that keep their channels: `stem`, `hidden`, `conv` (the head's convolution).

    Source: MobileNetV1, arXiv:1704.04861, section 3.3; rounding from MobileNetV2's reference code.
    """
    given = scaled = network.input[0]

    def row(block: Block, keeps: bool) -> Block:
        nonlocal given, scaled
        changes: dict[str, int] = {}
        for field, value in block.values(EXPANSION).items():
            changes[field] = scaled if value == given else round_channels(scaled * (value / given))
        squeezed = round_channels(max(changes.values(), default=scaled) / 4)
        changes |= {field: squeezed for field, value in block.values(SQUEEZE).items() if value}
        for field, value in block.values(OUT).items():
            given = value
            scaled = given if keeps else round_channels(given * width)
            changes[field] = scaled
        return msgspec.structs.replace(block, **changes)

    stem = tuple(row(block, "stem" in keep) for block in network.stem)
    stages = tuple(Stage(blocks=tuple(row(block, False) for block in stage.blocks)) for stage in network.stages)
    head = network.head
    if isinstance(head, PooledHead):
        head = _scale_head(head, width, keep)
    return msgspec.structs.replace(network, stem=stem, stages=stages, head=head)


def _scale_head(head: PooledHead, width: float, keep: Collection[str]) -> PooledHead:
    conv, hidden = head.conv_channels, head.hidden_channels
    if conv and "conv" not in keep:
        conv = round_channels(conv * (width if hidden else max(1.0, width)))
    if hidden and "hidden" not in keep:
        hidden = round_channels(hidden * max(1.0, width))
    return msgspec.structs.replace(head, conv_channels=conv, hidden_channels=hidden)


def total_stride(network: Network) -> int:
    """How many input pixels one position of the last stage stands for, along one side."""
    stride = 1
    for _, block in network.rows():
        stride *= block.reduction
    return stride


def suited(network: Network, *, channels: int, height: int, width: int, num_classes: int) -> Network:
    """The network for images and classes; on images so small that it would end in less than a 2x2 map, its earliest
    strides are set to 1.
    """
    network = network.at(channels=channels, height=height, width=width).with_classes(num_classes)
    limit = max(min(height, width) // 2, 1)
    return network if total_stride(network) <= limit else limit_stride(network, limit)


def limit_stride(network: Network, limit: int) -> Network:
    """The same network with the earliest strides set to 1 until its total stride is within the limit.

    What practitioners do to run a 224-pixel network on 32-pixel images: the weights keep their shapes, only the
    resolution at which each stage works changes.
    """
    excess = total_stride(network) / limit

    def row(block: Block) -> Block:
        nonlocal excess
        if excess <= 1 or block.reduction == 1:
            return block
        excess /= block.reduction
        return block.unstrided()

    stem = tuple(row(block) for block in network.stem)
    stages = tuple(Stage(blocks=tuple(row(block) for block in stage.blocks)) for stage in network.stages)
    return msgspec.structs.replace(network, stem=stem, stages=stages)


def with_output_stride(network: Network, stride: int, *, eager: bool = False) -> Network:
    """The same network with finer last maps: later strides are 1, and later kernels dilate to see what they saw.

    What the last stage gave before lies at every second (fourth, ...) position of what it gives now, but for
    squeeze-excitation and attention, which look at all positions.

    Args:
        network: The network.
        stride: How many input pixels one position of the last stage is to stand for, along one side.
        eager: Whether a block that loses its stride dilates already, as torchvision's MobileNetV3 does.

    Raises:
        ArchitectureError: If no block ends at the stride, or a kernel that would dilate cannot.

    Source: DeepLab, arXiv:1606.00915, section 3.1; MobileNetV3, arXiv:1905.02244, section 6.4 (stride 16).
    """
    now, dilation, reached = 1, 1, [1]

    def row(block: Block) -> Block:
        nonlocal now, dilation
        if now * block.reduction <= stride and dilation == 1:
            now *= block.reduction
            reached.append(now)
            return block
        before, dilation = dilation, dilation * block.reduction
        own = dilation if eager else before
        return msgspec.structs.replace(block.unstrided(), dilation=block.dilation * own)

    stem = tuple(row(block) for block in network.stem)
    stages = tuple(Stage(blocks=tuple(row(block) for block in stage.blocks)) for stage in network.stages)
    if now != stride:
        allowed = ", ".join(map(str, dict.fromkeys([*reached, total_stride(network)])))
        raise ArchitectureError(f"{network.name}: has no output stride of {stride}. Allowed: {allowed}")
    edited = msgspec.structs.replace(network, stem=stem, stages=stages)
    place_blocks(edited)
    return edited


def with_norms(network: Network, norms: NormsAt) -> Network:
    """The same network with the norms of all its summed branches in one place: `ridgepoint.arch.branches`.

    Raises:
        ArchitectureError: If nothing in it sums branches.
    """
    if not any(part.values(NORMS) for part in (*(block for _, block in network.rows()), network.head)):
        raise ArchitectureError(
            f"{network.name}: norms is '{norms}', and none of its blocks sums branches that fold into one convolution. "
            "Leave norms out"
        )

    def row(block: Block) -> Block:
        return msgspec.structs.replace(block, **dict.fromkeys(block.values(NORMS), norms))

    return msgspec.structs.replace(
        network,
        stem=tuple(row(block) for block in network.stem),
        stages=tuple(Stage(blocks=tuple(row(block) for block in stage.blocks)) for stage in network.stages),
        head=msgspec.structs.replace(network.head, **dict.fromkeys(network.head.values(NORMS), norms)),
    )
