"""A network's blocks as rows that people read: kind, shapes, channel widths and counts, with no torch."""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from ridgepoint.arch.network import Network, PlacedBlock, place_blocks
from ridgepoint.arch.part import Hue
from ridgepoint.arch.roles import EXPANSION, HIDDEN
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.wiring import has_skip


class BlockRow(msgspec.Struct, frozen=True, kw_only=True):
    """One block at its place.

    `kind` has one colour, the hue, and a name in legends, the words. `widths` are the channels in, the inner ones, and
    the channels out.
    """

    path: str
    kind: str
    words: str
    hue: Hue
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
    look = trained.block.own_look()
    return BlockRow(
        path=trained.path,
        kind=look.kind,
        words=look.words,
        hue=look.hue,
        name=look.name,
        detail=trained.block.detail,
        input=trained.input,
        output=trained.output,
        widths=(trained.input.channels, *_inner(trained), trained.output.channels),
        stride=trained.block.reduction,
        residual=has_skip(shipped.recipe),
        params=_params(trained),
        macs=_macs(trained),
        deploy_params=_params(shipped),
        deploy_macs=_macs(shipped),
    )


def _inner(placed: PlacedBlock) -> tuple[int, ...]:
    """The channels between a block's input and output, where it has some of its own."""
    expanded = [width for width in placed.block.values(EXPANSION).values() if width != placed.input.channels]
    return (*expanded, *filter(None, placed.block.values(HIDDEN).values()))


def _macs(block: PlacedBlock) -> int:
    return sum(placed.layer.macs(*placed.inputs) for placed in block.layers)


def _params(block: PlacedBlock) -> int:
    return sum(placed.layer.params() for placed in block.layers)
