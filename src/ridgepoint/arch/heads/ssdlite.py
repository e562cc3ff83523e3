"""SSDLite: boxes and their classes from six maps, by depthwise separable convolutions."""

from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.anchors import Anchor, ssd_anchors
from ridgepoint.arch.heads.base import Answer, HeadBase
from ridgepoint.arch.layer import AnchoredRows, Bundle, Concat, Conv2d, Pick, Scores, ToRows
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Count, Hidden, Tap
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class SsdLite(HeadBase, frozen=True, tag="ssdlite"):
    """A finer map, the last one after a [1x1 convolution], and one more for every extra block, each at half the size.

    Every map has anchors of its own at every position, and gives a box and the probabilities of its classes for each:
    map by map, position by position, one anchor after the other. A background is no class, though one is learnt.
    `anchors` are the published ones where none are given; `scores: sigmoid` is of weights that were trained so.

    Source: SSDLite, arXiv:1801.04381, section 6.2; MobileNetV3, arXiv:1905.02244, section 6.3, for what is tapped.
    """

    answers: ClassVar[Answer] = "boxes"
    fine: Tap = 16
    conv_channels: Hidden | None = None
    extra_channels: tuple[Count, ...] = (512, 256, 256, 128)
    anchors: tuple[tuple[Anchor, ...], ...] | None = None
    scores: Scores = "softmax"

    def to_learn(self) -> Self:
        """Classes exclude each other: so the loss has it."""
        return msgspec.structs.replace(self, scores="softmax")

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The maps one after the other, then boxes and classes of all of them."""
        last, fine = shape.maps
        own = self.conv_channels or last.channels
        conv = conventions.conv(last.channels, own, activation=conventions.activation) if self.conv_channels else None
        first = (("map0", Pick(index=1)), ("map1", chain(last=Pick(index=0), conv=conv)))
        parts: dict[str, Recipe] = {"maps": Parallel(first, Bundle())}
        parts |= extras(2, own, self.extra_channels, conventions)
        widths = (fine.channels, own, *self.extra_channels)
        anchors = ssd_anchors(len(widths)) if self.anchors is None else self.anchors
        if len(anchors) != len(widths) or not all(anchors):
            raise ArchitectureError(
                f"anchors has {len(anchors)} lists, and there are {len(widths)} maps: a finer one, the last one and "
                f"{len(self.extra_channels)} of extra_channels. Give at least one (width, height) for each"
            )
        return chain(**parts, classifier=anchored(widths, anchors, num_classes, conventions, self.scores))


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


def anchored(
    widths: Sequence[int],
    anchors: Sequence[tuple[Anchor, ...]],
    num_classes: int,
    conventions: Conventions,
    scores: Scores = "softmax",
) -> Parallel:
    """A box and the probabilities of its classes for every anchor of every position of all maps.

    Args:
        widths: Channels of the maps.
        anchors: Of each; a map without some gives nothing.
        num_classes: Without the background.
        conventions: Of the network.
        scores: How probabilities come of what is learnt.
    """
    counts = [len(own) for own in anchors]
    boxes, classes = (_rows(widths, counts, columns, conventions) for columns in (4, num_classes + 1))
    like = tuple([(f"map{index}", Pick(index=index)) for index, count in enumerate(counts) if count])
    placed = AnchoredRows(anchors=tuple([own for own in anchors if own]), scores=scores)
    return Parallel((("boxes", boxes), ("scores", classes), *like), placed)


def _rows(widths: Sequence[int], counts: Sequence[int], columns: int, conventions: Conventions) -> Recipe:
    """So many numbers for every anchor of every position of all maps."""
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
