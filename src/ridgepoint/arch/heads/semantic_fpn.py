"""Semantic FPN: maps of four resolutions, each made better by the coarser ones, added at the finest."""

from typing import ClassVar

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import Answer, HeadBase, last_map
from ridgepoint.arch.layer import Add, Bundle, Conv2d, Dropout, Pick, Resize
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden, Tap
from ridgepoint.arch.shape import Maps, Shape


class SemanticFpn(HeadBase, frozen=True, tag="semantic_fpn"):
    """A pyramid from four maps, then convolutions of each level up to the finest, where they are added; classes.

    The answer has the finest map's size, or the image's. `separable` makes every 3x3 convolution a depthwise one and a
    1x1.

    Source: Panoptic FPN, arXiv:1901.02446, section 3.1; widths and steps as EfficientFormer, arXiv:2206.01191, uses it.
    Differs: maps are enlarged bilinearly throughout, where that code repeats pixels inside of the pyramid.
    """

    answers: ClassVar[Answer] = "a class map"
    fine: Tap = 4
    middle: Tap = 8
    coarse: Tap = 16
    hidden_channels: Hidden = 256
    level_channels: Hidden = 128
    separable: bool = False
    image_size: bool = True

    @property
    def taps(self) -> tuple[int | str, ...]:
        """Three finer maps; and the image, where the answer is to have its size."""
        return (self.fine, self.middle, self.coarse, *((1,) if self.image_size else ()))

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """Laterals, the way down, the way up to the finest map, classes."""
        assert isinstance(shape, Maps)
        last, *finer = shape.maps
        levels = (*finer[:3], last)
        laterals = [self._lateral(number, level, conventions) for number, level in enumerate(levels)]
        image = [("image", Pick(index=4))] if self.image_size else []
        parts: dict[str, Recipe] = {"laterals": Parallel((*laterals, *image), Bundle())}
        for number in (2, 1, 0):
            kept = [(name, Pick(index=at)) for at, name in enumerate([name for name, _ in (*laterals, *image)])]
            own = Parallel((("own", Pick(index=number)), ("above", _enlarged(Pick(index=number + 1), number))), Add())
            kept[number] = (kept[number][0], own)  # type: ignore[assignment]
            parts[f"down{number}"] = Parallel(tuple(kept), Bundle())
        views = [(f"level{number}", self._view(number, conventions)) for number in range(4)]
        classes = chain(
            levels=Parallel(tuple(views), Add()),
            drop=Dropout(),
            classes=Conv2d(in_channels=self.level_channels, out_channels=num_classes, bias=True),
        )
        parts["classifier"] = _enlarged(classes, 4) if self.image_size else classes
        return chain(**parts)

    def _lateral(self, number: int, level: Shape, conventions: Conventions) -> tuple[str, Recipe]:
        index = (number + 1) % 4  # the last map comes first
        lateral = conventions.conv(level.channels, self.hidden_channels, bias=True, norm=False)
        return f"level{number}", chain(pick=Pick(index=index), map=last_map(level), lateral=lateral)

    def _view(self, number: int, conventions: Conventions) -> Recipe:
        """A level, a convolution at each resolution on its way to the finest."""
        post = self._conv(self.hidden_channels, self.hidden_channels, conventions, unit=False)
        found: Recipe = chain(pick=Pick(index=number), post=post)
        channels = self.hidden_channels
        for at in range(max(number, 1) - 1, -1, -1):
            found = chain(before=found, conv=self._conv(channels, self.level_channels, conventions, unit=True))
            found = _enlarged(found, at) if number else found
            channels = self.level_channels
        return found

    def _conv(self, channels: int, wide: int, conventions: Conventions, *, unit: bool) -> Chain:
        """A 3x3 convolution: a unit with norm and activation, or alone with a bias."""
        if not unit:
            if not self.separable:
                return conventions.conv(channels, wide, kernel=3, bias=True, norm=False)
            depthwise = conventions.depthwise(channels, kernel=3)
            return chain(depthwise=depthwise, pointwise=conventions.conv(channels, wide, bias=True, norm=False))
        if not self.separable:
            return conventions.conv(channels, wide, kernel=3, activation="relu")
        return chain(
            depthwise=conventions.depthwise(channels, kernel=3),
            pointwise=conventions.conv(channels, wide, activation="relu"),
        )


def _enlarged(features: Recipe, like: int) -> Parallel:
    """At the size of the map of that number."""
    return Parallel((("features", features), ("like", Pick(index=like))), Resize())
