"""A network's blocks as rows that people read: kind, shapes, channel widths and counts, with no torch."""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from ridgepoint.arch.block import (
    AttentionMixer,
    Block,
    Conv,
    FusedInvertedBottleneck,
    InvertedBottleneck,
    MobileMultiQueryAttention,
    MobileOne,
    PoolMixer,
    RepConv,
    Separable,
    UniversalInvertedBottleneck,
)
from ridgepoint.arch.head import Head, PooledHead
from ridgepoint.arch.layer import Add
from ridgepoint.arch.network import Network, PlacedBlock, place_blocks
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe
from ridgepoint.arch.shape import Shape

KINDS = {
    "conv": "convolution",
    "separable": "separable convolution",
    "fused_ib": "fused inverted bottleneck",
    "ib": "inverted bottleneck (IB)",
    "extra_dw": "ExtraDW",
    "conv_next": "ConvNext",
    "ffn": "FFN",
    "rep_conv": "RepConv",
    "mobileone": "MobileOne",
    "pool_mixer": "pool mixer",
    "attention": "attention",
    "head": "head",
}
_VARIANT_KINDS = {"ExtraDW": "extra_dw", "IB": "ib", "ConvNext": "conv_next", "FFN": "ffn"}


class BlockRow(msgspec.Struct, frozen=True, kw_only=True):
    """One block at its place. `widths` are the channels in, the inner ones, and the channels out."""

    path: str
    kind: str
    name: str
    detail: str
    input: Shape
    output: Shape
    widths: tuple[int, ...]
    stride: int
    residual: bool
    params: int
    macs: int
    deploy_params: int
    deploy_macs: int

    @property
    def stage(self) -> str:
        """`stem`, `stage 1`, ... or `head`."""
        part, *rest = self.path.split(".")
        return f"stage {int(rest[0]) + 1}" if part == "stages" else part


class BlockGroup(msgspec.Struct, frozen=True):
    """Equal blocks one after the other."""

    row: BlockRow
    repeat: int


def block_rows(network: Network) -> tuple[BlockRow, ...]:
    """Every block of a network and its head, in order, with the counts of the trained and of the shipped form."""
    trained, shipped = place_blocks(network), place_blocks(network, deploy=True)
    return tuple(_row(block, folded) for block, folded in zip(trained, shipped, strict=True))


def stages(rows: Iterable[BlockRow]) -> list[tuple[str, list[BlockGroup]]]:
    """The rows by stage, equal neighbours in one group."""
    return [(stage, _groups(list(members))) for stage, members in groupby(rows, key=lambda row: row.stage)]


def _groups(rows: list[BlockRow]) -> list[BlockGroup]:
    def look(row: BlockRow) -> BlockRow:
        return msgspec.structs.replace(row, path="")

    return [BlockGroup((same := list(members))[0], len(same)) for _, members in groupby(rows, key=look)]


def _row(trained: PlacedBlock, shipped: PlacedBlock) -> BlockRow:
    kind, name, detail = _describe(trained.block)
    return BlockRow(
        path=trained.path,
        kind=kind,
        name=name,
        detail=detail,
        input=trained.input,
        output=trained.output,
        widths=(trained.input.channels, *_inner(trained), trained.output.channels),
        stride=getattr(trained.block, "stride", 1),
        residual=_has_skip(trained.recipe),
        params=_params(trained),
        macs=_macs(trained),
        deploy_params=_params(shipped),
        deploy_macs=_macs(shipped),
    )


def _describe(block: Block | Head) -> tuple[str, str, str]:
    """The kind, the name and the detail that tell a block from its like."""
    match block:
        case Conv():
            return "conv", "Conv", _square(block.kernel)
        case Separable():
            return "separable", "Separable", _square(block.kernel)
        case FusedInvertedBottleneck():
            return "fused_ib", "Fused IB", _square(block.kernel)
        case InvertedBottleneck():
            return "ib", "IB + SE" if block.se_channels else "IB", _square(block.kernel)
        case UniversalInvertedBottleneck():
            kernels = [_square(kernel) for kernel in (block.start_kernel, block.middle_kernel) if kernel]
            return _VARIANT_KINDS[block.variant], f"UIB {block.variant}", ", ".join(kernels)
        case MobileMultiQueryAttention():
            reduced = f", K/V ↓{block.kv_stride}" if block.kv_stride > 1 else ""
            return "attention", "Mobile MQA", f"{block.heads} heads{reduced}"
        case RepConv():
            return "rep_conv", "RepConv", _square(block.kernel)
        case MobileOne():
            return "mobileone", "MobileOne + SE" if block.se else "MobileOne", _square(block.kernel)
        case PoolMixer():
            return "pool_mixer", "Pool mixer", _square(block.kernel)
        case AttentionMixer():
            return "attention", "Attention mixer", f"{block.heads} heads"
        case PooledHead():
            return "head", "Head", "pooled"
    return "head", "Head", "tokens"


def _inner(placed: PlacedBlock) -> tuple[int, ...]:
    """The channels between a block's input and output, where it has some of its own."""
    block = placed.block
    if isinstance(block, PooledHead):
        return tuple(width for width in (block.conv_channels, block.hidden_channels) if width)
    expand = getattr(block, "expand_channels", placed.input.channels)
    return () if expand == placed.input.channels else (expand,)


def _has_skip(recipe: Recipe) -> bool:
    """Whether an input is added to what became of it, anywhere in the block."""
    if isinstance(recipe, Chain):
        return any(_has_skip(part) for _, part in recipe.parts)
    if isinstance(recipe, Parallel):
        adds = isinstance(recipe.join, Add) and any(branch == IDENTITY for _, branch in recipe.branches)
        return adds or any(_has_skip(branch) for _, branch in recipe.branches)
    return False


def _square(kernel: int) -> str:
    return f"{kernel}×{kernel}"


def _macs(block: PlacedBlock) -> int:
    return sum(placed.layer.macs(*placed.inputs) for placed in block.layers)


def _params(block: PlacedBlock) -> int:
    return sum(placed.layer.params() for placed in block.layers)
