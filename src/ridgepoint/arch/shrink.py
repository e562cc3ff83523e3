"""Narrowing a network: which widths can shrink on their own, and the network after one of them did.

A knob is one width: the expansion of one block, the bottleneck that a run of residual blocks shares, the heads of one
attention, a layer of the head. Turning it changes every row that the width appears in, and no wiring: what added its
input before still does, and nothing else does.
"""

from typing import Any, Literal

import msgspec

from ridgepoint.arch.block import Block, InvertedBottleneck, MobileOne, RepConv
from ridgepoint.arch.layer import round_channels
from ridgepoint.arch.network import Network, Stage

DIVISOR = 8
HEAD_LAYERS = ("conv_channels", "hidden_channels")


class Knob(msgspec.Struct, frozen=True):
    """A width that can shrink: its kind, the blocks that it is written in (or the head's field), and its value."""

    kind: Literal["bottleneck", "expansion", "heads", "head"]
    places: tuple[str, ...]
    width: int

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
    channels = network.input[0]
    for path, block in network.rows():
        if hasattr(block, "expand_channels") and not _follows(block, channels):
            found.append(Knob("expansion", (path,), block.expand_channels))
        if hasattr(block, "heads"):
            found.append(Knob("heads", (path,), block.heads))
        if hasattr(block, "out_channels"):
            shared = [index for index, knob in enumerate(found) if knob.kind == "bottleneck"]
            if not _adds(block, channels):
                found.append(Knob("bottleneck", (path,), block.out_channels))
            elif shared:  # without a bottleneck before it, it adds to the image
                run = found[shared[-1]]
                found[shared[-1]] = msgspec.structs.replace(run, places=(*run.places, path))
            channels = block.out_channels
    widths = {name: getattr(network.head, name, None) for name in HEAD_LAYERS}
    return found + [Knob("head", (name,), width) for name, width in widths.items() if width]


def turn(network: Network, knob: Knob, width: int) -> Network | None:
    """The network with one width changed; None where a block would lose its expansion, which is another wiring."""
    if knob.kind == "head":
        head = msgspec.structs.replace(network.head, **{knob.places[0]: width})
        return msgspec.structs.replace(network, head=head)
    field = {"bottleneck": "out_channels", "expansion": "expand_channels", "heads": "heads"}[knob.kind]
    rows: dict[str, Block] = {}
    before = after = network.input[0]
    for path, block in network.rows():
        changes: dict[str, Any] = {field: width} if path in knob.places else {}
        if _follows(block, before):
            changes["expand_channels"] = after
        if "expand_channels" in changes and getattr(block, "se_channels", None):
            ratio = changes["expand_channels"] / block.expand_channels  # type: ignore[union-attr]
            changes["se_channels"] = min(round_channels(block.se_channels * ratio), block.se_channels)  # type: ignore
        row = msgspec.structs.replace(block, **changes)
        if _follows(row, after) != _follows(block, before):
            return None
        if hasattr(row, "residual") and _adds(row, after) != _adds(block, before):
            row = msgspec.structs.replace(row, residual=_adds(block, before))
        rows[path] = row
        before, after = (getattr(each, "out_channels", now) for each, now in ((block, before), (row, after)))
    stem = tuple(rows[f"stem.{index}"] for index in range(len(network.stem)))
    stages = [
        Stage(blocks=tuple(rows[f"stages.{number}.{index}"] for index in range(len(stage.blocks))))
        for number, stage in enumerate(network.stages)
    ]
    return msgspec.structs.replace(network, stem=stem, stages=tuple(stages))


def narrowed(network: Network, share: float) -> Network:
    """The network with all its widths at a share of what they are, or the nearest that keeps the wiring."""
    for knob in knobs(network):
        widths = [knob.width, *knob.narrower]
        nearest = [width for width in widths if width <= share * knob.width]
        nearest += [width for width in reversed(widths) if width > share * knob.width]
        network = next(changed for width in nearest if (changed := turn(network, knob, width)) is not None)
    return network


def _adds(block: Block, channels: int) -> bool:
    """Whether a block that sets its width adds its input to what it computes."""
    if getattr(block, "residual", None) is not None:
        return bool(block.residual)  # type: ignore[union-attr]
    if getattr(block, "out_channels", 0) != channels:
        return False
    if isinstance(block, MobileOne):  # in its pointwise unit, whatever the stride of its depthwise one
        return True
    return block.stride == 1 and (hasattr(block, "residual") or isinstance(block, RepConv))  # type: ignore[union-attr]


def _follows(block: Block, channels: int) -> bool:
    """Whether a block has no expansion of its own: its depthwise convolution is as wide as its input."""
    return isinstance(block, InvertedBottleneck) and block.expand_channels == channels
