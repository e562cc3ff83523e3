"""Lite R-ASPP: MobileNetV3's segmentation head."""

from typing import Annotated, ClassVar

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import Answer, HeadBase, last_map
from ridgepoint.arch.layer import Activation, Add, Bundle, Conv2d, Gate, GlobalPool, Pick, Resize
from ridgepoint.arch.recipe import Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden, Tap
from ridgepoint.arch.shape import Maps, Shape


class LiteRAspp(HeadBase, frozen=True, tag="lraspp"):
    """[1x1 convolution], 1x1 convolution gated by the image's mean, and classes from it and from a finer map, added.

    The answer has the finer map's size, or the image's. `norm_eps` is of the head's own norm, where it has another one.

    Source: MobileNetV3, arXiv:1905.02244, section 6.4 and Figure 10.
    Differs: the gate is the mean of all positions, as in torchvision, where the paper pools windows of 49x49.
    """

    answers: ClassVar[Answer] = "a class map"
    low: Tap = 8
    conv_channels: Hidden | None = None
    hidden_channels: Hidden = 128
    norm_eps: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    image_size: bool = True

    @property
    def taps(self) -> tuple[int | str, ...]:
        """The finer map; and the image, where the answer is to have its size."""
        return (self.low, 1) if self.image_size else (self.low,)

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """Features at both resolutions, classes of each, added at the finer one; [resized to the image]."""
        assert isinstance(shape, Maps)
        last, low, *_ = shape.maps
        given = self.conv_channels or last.channels
        high = chain(
            last=Pick(index=0),
            map=last_map(last),
            conv=conventions.conv(last.channels, given, activation=conventions.activation)
            if self.conv_channels
            else None,
            aspp=self._aspp(given, conventions),
        )
        kept = [(name, Pick(index=1 + index)) for index, name in enumerate(("low", "image")[: len(self.taps)])]
        finer = Parallel((("features", Pick(index=0)), ("like", Pick(index=1))), Resize())
        branches = (
            ("high", chain(resize=finer, conv=self._classes(self.hidden_channels, num_classes))),
            ("low", chain(low=Pick(index=1), conv=self._classes(low.channels, num_classes))),
        )
        classes = Parallel(branches, Add())
        resized = Parallel((("classes", classes), ("like", Pick(index=2))), Resize())
        return chain(
            features=Parallel((("high", high), *kept), Bundle()),
            classifier=resized if self.image_size else chain(classes=classes),
        )

    def _aspp(self, channels: int, conventions: Conventions) -> Parallel:
        wide = self.hidden_channels
        gate = chain(
            pool=GlobalPool(),
            conv=Conv2d(in_channels=channels, out_channels=wide),
            act=Activation(kind="sigmoid"),
        )
        if self.norm_eps is not None:
            conventions = msgspec.structs.replace(conventions, norm_eps=self.norm_eps, norm_momentum=0.1)
        return Parallel((("features", conventions.conv(channels, wide, activation="relu")), ("gate", gate)), Gate())

    @staticmethod
    def _classes(channels: int, num_classes: int) -> Conv2d:
        return Conv2d(in_channels=channels, out_channels=num_classes, bias=True)
