"""Layers that take maps apart, put them together and change their size, without weights."""

import msgspec

from ridgepoint.arch.layer import Layer, Resize
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class Subsample(Layer, frozen=True):
    """Every `stride`-th pixel of every `stride`-th row, from the first one on."""

    stride: int

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C, ceil(H/stride), ceil(W/stride))."""
        (given,) = inputs
        given.expect("map", by="a sub-sampling")
        return Shape(given.channels, -(-given.height // self.stride), -(-given.width // self.stride))


class ResizeNearest(Resize, frozen=True):
    """The same by the nearest pixel."""


class ToGrid(Layer, frozen=True):
    """A map as `side` x `side` means, or interpolated where its size is no multiple of that."""

    side: int

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C, side, side)."""
        (given,) = inputs
        given.expect("map", by="a grid")
        return Shape(given.channels, self.side, self.side)


class ToMultiple(Layer, frozen=True):
    """A map interpolated to the next size whose height and width are multiples of a number."""

    step: int
    corners: bool = False

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C, H', W')."""
        (given,) = inputs
        given.expect("map", by="an interpolation")
        height, width = (-(-side // self.step) * self.step for side in (given.height, given.width))
        return Shape(given.channels, height, width)


class Stack(Layer, frozen=True):
    """The channels of all branches, one map's after the other's."""

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W), (C', H, W), ... to (C + C' + ..., H, W)."""
        first = inputs[0]
        for each in inputs:
            each.expect("map", by="a stack of maps")
            if (each.height, each.width) != (first.height, first.width):
                raise ArchitectureError(f"cannot stack {first} and {each}: both need one height and width")
        return msgspec.structs.replace(first, channels=sum(each.channels for each in inputs))


class MaxPool(Layer, frozen=True):
    """The largest of a square window at every `stride`-th pixel."""

    kernel: int
    stride: int

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C, ceil(H/stride), ceil(W/stride))."""
        (given,) = inputs
        given.expect("map", by="a max pool")
        return Shape(given.channels, -(-given.height // self.stride), -(-given.width // self.stride))


class Shuffle(Layer, frozen=True):
    """Channels in another order: the first ones of all groups, then the second ones, and so on.

    Source: ShuffleNet, arXiv:1707.01083, section 3.1.
    """

    groups: int

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect("map", by="a shuffle")
        return inputs[0]


class Slice(Layer, frozen=True):
    """The channels of a map from one number up to, but without, another one."""

    start: int
    stop: int

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (stop - start, H, W)."""
        (given,) = inputs
        given.expect("map", by="a slice")
        if not self.start < self.stop <= given.channels:
            raise ArchitectureError(f"a slice takes the channels {self.start} to {self.stop}, but its input is {given}")
        return msgspec.structs.replace(given, channels=self.stop - self.start)
