"""MobileNetV5's fusion adapter, with a classifier behind it."""

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import HeadBase
from ridgepoint.arch.layer import Dropout, GlobalPool, Linear, Pick, ToVector
from ridgepoint.arch.recipe import Parallel, Recipe, chain
from ridgepoint.arch.roles import Count, Hidden, Tap
from ridgepoint.arch.shape import Maps, Shape
from ridgepoint.arch.shaping import ResizeNearest, Stack, ToGrid


class FusionHead(HeadBase, frozen=True, tag="msfa"):
    """The last map at the size of a finer one, stacked on that, two 1x1 convolutions, a grid of means, a classifier.

    What it gives before the pool are the tokens that a language model gets: `grid` x `grid` of them at any input.

    Source: MobileNetV5 in Gemma 3n, for which there is no paper, as timm defines it; its classifier is timm's.
    """

    fine: Tap = 16
    conv_channels: Hidden = 3840
    hidden_channels: Hidden = 2048
    grid: Count = 16

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shapes."""
        assert isinstance(shape, Maps)
        last, fine = shape.maps
        resized = Parallel((("features", Pick(index=0)), ("like", Pick(index=1))), ResizeNearest())
        stacked = last.channels + fine.channels
        return chain(
            fused=Parallel((("fine", Pick(index=1)), ("last", resized)), Stack()),
            expand=conventions.conv(stacked, self.conv_channels, activation=conventions.activation),
            project=conventions.conv(self.conv_channels, self.hidden_channels),
            grid=ToGrid(side=self.grid),
            norm=conventions.norm(self.hidden_channels),
            pool=GlobalPool(),
            flatten=ToVector(),
            dropout=Dropout(),
            classifier=Linear(in_features=self.hidden_channels, out_features=num_classes),
        )
