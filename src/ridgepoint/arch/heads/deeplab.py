"""DeepLabV3: a last map looked at with kernels of several dilations."""

from typing import Annotated, ClassVar

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.dilate import dilated
from ridgepoint.arch.heads.base import Answer, HeadBase, last_map
from ridgepoint.arch.layer import Add, Conv2d, Dropout, GlobalPool, Pick, Resize
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden
from ridgepoint.arch.shape import Shape

Rate = Annotated[int, msgspec.Meta(ge=1, le=64)]


class DeepLabV3(HeadBase, frozen=True, tag="deeplabv3"):
    """[1x1 convolution], a 1x1 one, dilated 3x3 ones and the image's mean, joined; [one more 3x3 convolution]; classes.

    The answer has the last map's size, or the image's. `separable` makes every 3x3 convolution a depthwise one and a
    1x1. With no `rates`, only the point and the mean are looked at; `refine` is the 3x3 convolution of what is joined.
    `norm_eps` is of the head's own norms, where they have another one.

    Source: DeepLabV3, arXiv:1706.05587, section 3.3; DeepLabV3+, arXiv:1802.02611, section 3.1 (separable).
    Differs: what is joined is not concatenated and then projected; each is projected, and the sum is the same.
    """

    answers: ClassVar[Answer] = "a class map"
    rates: Annotated[tuple[Rate, ...], msgspec.Meta(max_length=8)] = (12, 24, 36)
    conv_channels: Hidden | None = None
    hidden_channels: Hidden = 256
    separable: bool = False
    refine: bool = True
    norm_eps: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    image_size: bool = True

    @property
    def taps(self) -> tuple[int | str, ...]:
        """The image, where the answer is to have its size."""
        return (1,) if self.image_size else ()

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """All views of the last map, each projected and added; then classes."""
        last, wide = shape.maps[0], self.hidden_channels
        given, activation = self.conv_channels or last.channels, conventions.activation
        conv = conventions.conv(last.channels, given, activation=activation) if self.conv_channels else None
        if self.norm_eps is not None:
            conventions = msgspec.structs.replace(conventions, norm_eps=self.norm_eps, norm_momentum=0.1)
        pooled = chain(pool=GlobalPool(), **dict(conventions.conv(given, wide, activation="relu").parts))
        views: dict[str, Recipe] = {"point": conventions.conv(given, wide, activation="relu")}
        views |= {f"rate{rate}": self._conv(given, conventions, rate) for rate in self.rates}
        views["mean"] = Parallel((("features", pooled), ("like", IDENTITY)), Resize())
        project = Conv2d(in_channels=wide, out_channels=wide)
        joined = Parallel(tuple([(name, chain(view=view, project=project)) for name, view in views.items()]), Add())
        unit = dict(conventions.conv(wide, wide, activation="relu").parts)
        classes = chain(
            last=Pick(index=0) if self.taps else None,
            map=last_map(last),
            conv=conv,
            aspp=chain(views=joined, norm=unit["norm"], act=unit["act"], drop=Dropout()),
            refine=self._conv(wide, conventions, 1) if self.refine else None,
            classes=Conv2d(in_channels=wide, out_channels=num_classes, bias=True),
        )
        if not self.image_size:
            return chain(classifier=classes)
        return chain(classifier=Parallel((("classes", classes), ("like", Pick(index=1))), Resize()))

    def _conv(self, channels: int, conventions: Conventions, rate: int) -> Chain:
        """A 3x3 convolution of that dilation, norm and activation."""
        if self.separable:
            return chain(
                depthwise=dilated(conventions.depthwise(channels, kernel=3, activation="relu"), rate),
                pointwise=conventions.conv(channels, self.hidden_channels, activation="relu"),
            )
        found = dilated(conventions.conv(channels, self.hidden_channels, kernel=3, activation="relu"), rate)
        assert isinstance(found, Chain)
        return found
