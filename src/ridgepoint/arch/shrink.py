"""Narrowing a network: which widths can shrink on their own, and the network after one of them did.

A knob is one width: the expansion of one block, the bottleneck that a run of residual blocks shares, the heads of one
attention, a layer of the head. Turning it changes every row that the width appears in, and no wiring: what added its
input before still does, and nothing else does.
"""

from contextlib import suppress
from typing import Any, Literal

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import round_channels
from ridgepoint.arch.network import Network, Stage, placed_parts
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.roles import EXPANSION, HEADS, HIDDEN, OUT, RESIDUAL, SQUEEZE
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.wiring import inherits, keeps_channels
from ridgepoint.errors import ArchitectureError

DIVISOR = 8


class Knob(msgspec.Struct, frozen=True):
    """A width that can shrink: its kind, the blocks that it is written in (or the head's field), and its value.

    `field` is the one that it is written in, which a run of blocks need not have in common.
    """

    kind: Literal["bottleneck", "expansion", "heads", "head"]
    places: tuple[str, ...]
    width: int
    field: str = ""

    @property
    def narrower(self) -> range:
        """The widths below its own, largest first."""
        step = 1 if self.kind == "heads" else DIVISOR
        return range((self.width - 1) // step * step, 0, -step)

    def __str__(self) -> str:
        where = self.places[0] if len(self.places) == 1 else f"{self.places[0]} to {self.places[-1]}"
        return f"{self.kind} of {where}"


def knobs(network: Network) -> list[Knob]:
    """Every width of a network that can shrink on its own, in the order of the network."""
    found: list[Knob] = []
    for (path, block), (site, placed) in zip(network.rows(), placed_parts(network), strict=False):
        for field, width in block.values(EXPANSION).items():
            if _is_own(block, field, width, site.input, network.conventions):
                found.append(Knob("expansion", (path,), width, field))
        found += [Knob("heads", (path,), width, field) for field, width in block.values(HEADS).items()]
        if block.sets_width:
            shared = [index for index, knob in enumerate(found) if knob.kind == "bottleneck"]
            if not keeps_channels(placed.recipe):
                found.append(Knob("bottleneck", (path,), block.width_after(0)))
            elif shared:  # without a bottleneck before it, it adds to the image
                run = found[shared[-1]]
                found[shared[-1]] = msgspec.structs.replace(run, places=(*run.places, path))
    widths = network.head.values(HIDDEN)
    return found + [Knob("head", (name,), width) for name, width in widths.items() if width]


def turn(network: Network, knob: Knob, width: int, *, origin: Network | None = None) -> Network | None:
    """The network with one width changed; None where that is another wiring: a block would lose its expansion.

    Args:
        network: What has the width.
        knob: The width.
        width: What it becomes.
        origin: The network that this one was narrowed from, whose wiring is to be kept; itself if left open.
    """
    if knob.kind == "head":
        head = msgspec.structs.replace(network.head, **{knob.places[0]: width})
        return msgspec.structs.replace(network, head=head)
    rows: dict[str, Block] = {}
    channels = network.input[0]
    now = placed_parts(network)
    wirings = [placed.recipe for _, placed in (now if origin is None else placed_parts(origin))]
    for (path, block), (site, _), wired in zip(network.rows(), now, wirings, strict=False):
        fields = () if path not in knob.places else block.values(OUT) if knob.kind == "bottleneck" else (knob.field,)
        row: Block | None = block
        if fields or channels != site.input.channels:
            changes = dict.fromkeys(fields, width)
            row = _narrowed(block, changes, site.input, channels, wired, network)
        if row is None:
            return None
        rows[path] = row
        channels = row.width_after(channels)
    stem = tuple(rows[f"stem.{index}"] for index in range(len(network.stem)))
    stages = [
        Stage(blocks=tuple(rows[f"stages.{number}.{index}"] for index in range(len(stage.blocks))))
        for number, stage in enumerate(network.stages)
    ]
    return msgspec.structs.replace(network, stem=stem, stages=tuple(stages))


def narrowed(network: Network, share: float) -> Network:
    """The network with all its widths at a share of what they are, or the nearest that keeps the wiring."""
    origin = network
    for knob in knobs(network):
        widths = [knob.width, *knob.narrower]
        nearest = [width for width in widths if width <= share * knob.width]
        nearest += [width for width in reversed(widths) if width > share * knob.width]
        turned = (turn(network, knob, width, origin=origin) for width in nearest)
        network = next((changed for changed in turned if changed is not None), network)
    return network


def _is_own(block: Block, field: str, width: int, given: Shape, conventions: Conventions) -> bool:
    """Whether an expansion may differ from the input's width; else it follows that: nothing in the block widens."""
    other = msgspec.structs.replace(block, **{field: width + given.channels})
    return inherits(other.wired(given, conventions), block.wired(given, conventions))


def _narrowed(
    block: Block, changes: dict[str, Any], given: Shape, channels: int, wired: Recipe, network: Network
) -> Block | None:
    """The block with some fields changed, wired as is wanted; None if it cannot be.

    What was as wide as the input may follow it, and a residual that would come or go is told not to.

    Args:
        block: The block, in the network.
        changes: What becomes of some of its fields.
        given: Its input before.
        channels: Of its input after.
        wired: The recipe whose layers it must have.
        network: Where it is.
    """
    shape = msgspec.structs.replace(given, channels=channels)
    following = {field: channels for field, width in block.values(EXPANSION).items() if width == given.channels}
    told = dict.fromkeys(block.values(RESIDUAL), keeps_channels(wired))
    for more in ({}, told, following, following | told):
        widths = changes | more
        row = msgspec.structs.replace(block, **widths, **_squeezed(block, widths, channels / given.channels))
        with suppress(ArchitectureError):  # a width that goes with no other
            if inherits(row.wired(shape, network.conventions), wired):
                return row
    return None


def _squeezed(block: Block, widths: dict[str, Any], share: float) -> dict[str, int]:
    """The widths of a squeeze-excitation, which shrink with the expansion that they squeeze, or with the input."""
    expansions = block.values(EXPANSION)
    changed = [widths[field] / width for field, width in expansions.items() if field in widths]
    ratio = changed[-1] if changed else 1.0 if expansions else share
    squeezes = {field: width for field, width in block.values(SQUEEZE).items() if width and ratio != 1.0}
    return {field: min(round_channels(width * ratio), width) for field, width in squeezes.items()}
