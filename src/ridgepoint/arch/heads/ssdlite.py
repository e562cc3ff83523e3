"""SSDLite: boxes and their classes from six maps, by depthwise separable convolutions."""

from collections.abc import Sequence
from typing import ClassVar

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import Answer, HeadBase
from ridgepoint.arch.layer import Bundle, Concat, Conv2d, Pick, ToRows
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Count, Hidden, Tap
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class SsdLite(HeadBase, frozen=True, tag="ssdlite"):
    """A finer map, the last one after a [1x1 convolution], and one more for every extra block, each at half the size.

    Of every map, per position and anchor, four numbers of a box and one a class: rows of the answers are boxes, map by
    map, position by position. Both are raw, offsets to anchors and logits; a background counts as a class.

    Source: SSDLite, arXiv:1801.04381, section 6.2; MobileNetV3, arXiv:1905.02244, section 6.3, for what is tapped.
    """

    answers: ClassVar[Answer] = "boxes"
    fine: Tap = 16
    conv_channels: Hidden | None = None
    extra_channels: tuple[Count, ...] = (512, 256, 256, 128)
    anchors: tuple[Count, ...] = (6, 6, 6, 6, 6, 6)

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The maps one after the other, then boxes and classes of all of them."""
        last, fine = shape.maps
        own = self.conv_channels or last.channels
        conv = conventions.conv(last.channels, own, activation=conventions.activation) if self.conv_channels else None
        first = (("map0", Pick(index=1)), ("map1", chain(last=Pick(index=0), conv=conv)))
        parts: dict[str, Recipe] = {"maps": Parallel(first, Bundle())}
        parts |= extras(2, own, self.extra_channels, conventions)
        widths = (fine.channels, own, *self.extra_channels)
        if len(self.anchors) != len(widths):
            raise ArchitectureError(
                f"anchors has {len(self.anchors)} numbers, and there are {len(widths)} maps: a finer one, the last one "
                f"and {len(self.extra_channels)} of extra_channels. Give one number for each"
            )
        boxes, scores = (rows(widths, self.anchors, columns, conventions) for columns in (4, num_classes))
        return chain(**parts, classifier=Parallel((("boxes", boxes), ("scores", scores)), Bundle()))


def extras(first: int, channels: int, widths: Sequence[int], conventions: Conventions) -> dict[str, Recipe]:
    """Further maps, each at half the size of the one before, bundled with all maps before it.

    Args:
        first: How many maps there are; the last of them is halved first.
        channels: Of that one.
        widths: Channels of the further ones.
        conventions: Of the network.
    """
    parts: dict[str, Recipe] = {}
    for number, wide in enumerate(widths, first):
        kept = tuple([(f"map{index}", Pick(index=index)) for index in range(number)])
        extra = chain(before=Pick(index=number - 1), **dict(_extra(channels, wide, conventions).parts))
        parts[f"extra{number}"] = Parallel((*kept, (f"map{number}", extra)), Bundle())
        channels = wide
    return parts


def rows(widths: Sequence[int], counts: Sequence[int], columns: int, conventions: Conventions) -> Recipe:
    """So many numbers for every anchor of every position of all maps; a map without anchors gives none.

    Args:
        widths: Channels of the maps.
        counts: Anchors at a position of each.
        columns: Numbers of an anchor.
        conventions: Of the network.
    """
    branches = [
        (f"map{index}", _predict(index, channels, count, columns, conventions))
        for index, (channels, count) in enumerate(zip(widths, counts, strict=True))
        if count
    ]
    return Parallel(tuple(branches), Concat())


def _predict(index: int, channels: int, count: int, columns: int, conventions: Conventions) -> Chain:
    return chain(
        pick=Pick(index=index),
        depthwise=conventions.depthwise(channels, kernel=3, activation="relu6"),
        conv=Conv2d(in_channels=channels, out_channels=count * columns, bias=True),
        rows=ToRows(columns=columns),
    )


def _extra(channels: int, wide: int, conventions: Conventions) -> Chain:
    """1x1 to half the width, depthwise with stride 2, 1x1 to the width."""
    half = wide // 2
    return chain(
        reduce=conventions.conv(channels, half, activation="relu6"),
        depthwise=conventions.depthwise(half, kernel=3, stride=2, activation="relu6"),
        widen=conventions.conv(half, wide, activation="relu6"),
    )
