"""SSDLite on a feature pyramid, a detector whole: anchors are part of the head, boxes come out of it decoded."""

from typing import Annotated, ClassVar

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.anchors import Anchor
from ridgepoint.arch.heads.base import Answer, HeadBase, last_map
from ridgepoint.arch.heads.ssdlite import anchored, extras
from ridgepoint.arch.layer import Add, Bundle, Pick, Resize
from ridgepoint.arch.recipe import Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden, Tap
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError

PYRAMID = ("map0", "map1", "map2")
"""The two finer maps and the last one."""

CELLS = 3.0
"""An anchor goes to the coarsest map on which it covers so many positions either way."""


class Detector(HeadBase, frozen=True, tag="detector"):
    """Boxes and the probabilities of their classes from two finer maps, the last one and smaller ones.

    Maps are brought to one width and added to finer ones from the last one up; smaller ones follow from the last. Of
    each come boxes and classes by depthwise separable convolutions. Every anchor goes to the coarsest map whose
    positions are close enough together for it, the finest one if none are; maps that no anchor goes to are not made. So
    one list of anchors serves every input size and backbone.

    Source: SSDLite, arXiv:1801.04381, section 6.2; feature pyramids, arXiv:1612.03144, section 3.
    Differs: SSD gives every map anchors of a size of its own; maps that are added are enlarged bilinearly.
    """

    answers: ClassVar[Answer] = "boxes"
    of_data: ClassVar[bool] = True
    finer: Tap = 8
    fine: Tap = 16
    channels: Hidden = 128
    smaller: Annotated[int, msgspec.Meta(ge=0, le=8)] = 3
    anchors: tuple[Anchor, ...] = ((0.1, 0.1), (0.2, 0.2), (0.28, 0.14), (0.14, 0.28), (0.4, 0.4), (0.8, 0.8))

    @property
    def detail(self) -> str:
        """Its kind, and how many anchors it has."""
        return f"detector, {len(self.anchors)} anchors"

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The maps that anchors go to, offsets and classes of all of them, and boxes of these."""
        if not self.anchors:
            raise ArchitectureError("a detector without anchors finds nothing. Give at least one (width, height)")
        last, finer, fine = shape.maps
        for each in (finer, fine):
            each.expect("map", by="a detector")
        wide = self.channels
        maps = [finer, fine, last]
        for _ in range(self.smaller):
            maps.append(Shape(wide, -(-maps[-1].height // 2), -(-maps[-1].width // 2)))
        spread = spread_anchors(self.anchors, maps)
        used = max(index for index, anchors in enumerate(spread) if anchors) + 1
        parts = self._pyramid(last, finer, fine, conventions)
        parts |= extras(len(PYRAMID), wide, [wide] * max(used - len(PYRAMID), 0), conventions)
        return chain(**parts, classifier=anchored([wide] * len(spread), spread, num_classes, conventions))

    def _pyramid(self, last: Shape, finer: Shape, fine: Shape, conventions: Conventions) -> dict[str, Recipe]:
        """The three maps at one width, then each of the finer ones with the coarser one added, from the last one up."""
        own = [
            (
                name,
                chain(pick=Pick(index=place), map=last_map(each), conv=conventions.conv(each.channels, self.channels)),
            )
            for name, place, each in zip(PYRAMID, (1, 2, 0), (finer, fine, last), strict=True)
        ]
        parts: dict[str, Recipe] = {"maps": Parallel(tuple(own), Bundle())}
        for number in (1, 0):
            above = Parallel((("above", Pick(index=number + 1)), ("like", Pick(index=number))), Resize())
            added = Parallel((("own", Pick(index=number)), ("enlarged", above)), Add())
            kept = [(name, added if index == number else Pick(index=index)) for index, name in enumerate(PYRAMID)]
            parts[f"added{number}"] = Parallel(tuple(kept), Bundle())
        return parts


def spread_anchors(anchors: tuple[Anchor, ...], maps: list[Shape]) -> list[tuple[Anchor, ...]]:
    """The anchors of each map, the finest map first."""
    found: list[list[Anchor]] = [[] for _ in maps]
    for width, height in anchors:
        close = [index for index, each in enumerate(maps) if width * height * each.height * each.width >= CELLS**2]
        found[max(close, default=0)].append((width, height))
    return [tuple(each) for each in found]
