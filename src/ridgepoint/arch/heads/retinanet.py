"""RetinaNet: boxes and their classes from five levels of a pyramid, by towers that all levels share."""

from collections.abc import Callable
from typing import Annotated, ClassVar, TypeAlias

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.anchors import Anchor, retinanet_anchors
from ridgepoint.arch.heads.base import Answer, HeadBase, last_map
from ridgepoint.arch.layer import (
    Activation,
    Add,
    AnchoredRows,
    Bundle,
    Concat,
    Conv2d,
    Pick,
    Resize,
    SharedConv2d,
    ToRows,
)
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden, Tap
from ridgepoint.arch.shape import Shape

LEVELS = ("level3", "level4", "level5", "level6", "level7")

Of: TypeAlias = Callable[[int], Recipe]


class RetinaNet(HeadBase, frozen=True, tag="retinanet"):
    """Two finer maps, the last one after a [1x1 convolution], and two smaller ones, brought to one width and added.

    Every convolution is a depthwise one and a 1x1. Two towers of convolutions look at every level, one for boxes, one
    for classes; all levels share their weights, and each has norms of its own. There are nine anchors at every
    position: three sizes, three shapes.

    Source: RetinaNet, arXiv:1708.02002, section 4; separable, as MobileNetV4, arXiv:2404.10518, Table 7, has it in
    TensorFlow's official code.
    Differs: maps are enlarged bilinearly, where that code repeats pixels; a background is learnt as one more class.
    """

    answers: ClassVar[Answer] = "boxes"
    finer: Tap = 8
    fine: Tap = 16
    conv_channels: Hidden | None = None
    channels: Hidden = 256
    depth: Annotated[int, msgspec.Meta(ge=1, le=8)] = 4

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The pyramid, both towers, and boxes."""
        last, finer, fine = shape.maps
        given = self.conv_channels or last.channels
        conv = conventions.conv(last.channels, given, activation=conventions.activation) if self.conv_channels else None
        own = chain(pick=Pick(index=0), map=last_map(last), conv=conv)
        laterals = (
            (LEVELS[0], chain(pick=Pick(index=1), lateral=self._separable(finer.channels, conventions, kernel=1))),
            (LEVELS[1], chain(pick=Pick(index=2), lateral=self._separable(fine.channels, conventions, kernel=1))),
            (LEVELS[2], chain(last=own, lateral=self._separable(given, conventions, kernel=1))),
        )
        parts: dict[str, Recipe] = {"laterals": Parallel(laterals, Bundle())}
        for number in (1, 0):
            kept: list[Recipe] = [Pick(index=index) for index in range(3)]
            kept[number] = _added(number)
            parts[f"added{number}"] = _each(3, kept.__getitem__)
        same = self._separable(self.channels, conventions)
        parts["post"] = _each(3, lambda index: chain(pick=Pick(index=index), conv=same))
        smaller = self._separable(self.channels, conventions, stride=2)
        parts["level6"] = _with(3, chain(pick=Pick(index=2), conv=smaller))
        act = Activation(kind=conventions.activation)
        parts["level7"] = _with(4, chain(pick=Pick(index=3), act=act, conv=smaller))
        parts["norms"] = _each(5, lambda index: chain(pick=Pick(index=index), norm=conventions.norm(self.channels)))
        shapes = [finer, fine, last]
        for _ in range(2):
            shapes.append(Shape(1, -(-shapes[-1].height // 2), -(-shapes[-1].width // 2)))
        anchors = retinanet_anchors([(each.height, each.width) for each in shapes])
        return chain(**parts, classifier=self._boxes(anchors, num_classes, conventions))

    def _boxes(self, anchors: tuple[tuple[Anchor, ...], ...], num_classes: int, conventions: Conventions) -> Parallel:
        boxes, classes = (self._tower(len(anchors[0]), columns, conventions) for columns in (4, num_classes + 1))
        like = tuple([(name, Pick(index=index)) for index, name in enumerate(LEVELS)])
        return Parallel((("boxes", boxes), ("scores", classes), *like), AnchoredRows(anchors=anchors))

    def _tower(self, count: int, columns: int, conventions: Conventions) -> Recipe:
        """Convolutions that all levels share, and as many numbers for every anchor."""
        act = Activation(kind=conventions.activation)
        parts: dict[str, Recipe] = {}
        for number in range(self.depth):
            parts[f"conv{number}"] = _shared(self._separable(self.channels, conventions))
            parts[f"norms{number}"] = _each(
                5, lambda index: chain(pick=Pick(index=index), norm=conventions.norm(self.channels), act=act)
            )
        parts["conv"] = _shared(self._separable(self.channels, conventions, out=count * columns))
        rows = [(name, chain(pick=Pick(index=i), rows=ToRows(columns=columns))) for i, name in enumerate(LEVELS)]
        return chain(**parts, rows=Parallel(tuple(rows), Concat()))

    def _separable(
        self, channels: int, conventions: Conventions, *, kernel: int = 3, stride: int = 1, out: int | None = None
    ) -> Chain:
        """A depthwise convolution and a 1x1 with a bias, nothing between."""
        depthwise = Conv2d(
            in_channels=channels,
            out_channels=channels,
            kernel=kernel,
            stride=stride,
            groups=channels,
            padding=conventions.padding,
        )
        return chain(
            depthwise=depthwise, pointwise=Conv2d(in_channels=channels, out_channels=out or self.channels, bias=True)
        )


def _added(number: int) -> Parallel:
    """A map with the coarser one added."""
    above = Parallel((("above", Pick(index=number + 1)), ("like", Pick(index=number))), Resize())
    return Parallel((("own", Pick(index=number)), ("enlarged", above)), Add())


def _shared(separable: Chain) -> Chain:
    """The same of all maps."""
    return Chain(tuple([(name, SharedConv2d(conv=conv)) for name, conv in separable.parts if isinstance(conv, Conv2d)]))


def _each(count: int, of: Of) -> Parallel:
    """Something for each of so many maps."""
    return Parallel(tuple([(LEVELS[index], of(index)) for index in range(count)]), Bundle())


def _with(count: int, further: Recipe) -> Parallel:
    """So many maps as they are, and a further one."""
    kept = [(LEVELS[index], Pick(index=index)) for index in range(count)]
    return Parallel((*kept, (LEVELS[count], further)), Bundle())
