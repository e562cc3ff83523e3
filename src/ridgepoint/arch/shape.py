"""The shape of what flows between layers, without the batch."""

from typing import Literal

import msgspec

from ridgepoint.errors import ArchitectureError

Layout = Literal["map", "tokens", "vector", "maps"]


class Shape(msgspec.Struct, frozen=True):
    """One image's activations: a (C, H, W) map, (H*W, C) tokens or a (C,) vector.

    Tokens keep the height and width they came from: attention biases depend on them.
    """

    channels: int
    height: int = 1
    width: int = 1
    layout: Layout = "map"

    @property
    def elements(self) -> int:
        """How many numbers one image has at this point."""
        return self.channels * self.height * self.width

    @property
    def positions(self) -> int:
        """Height times width: pixels of a map, number of tokens, 1 for a vector."""
        return self.height * self.width

    @property
    def maps(self) -> "tuple[Shape, ...]":
        """Itself, or all that flow together."""
        return (self,)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of one image's tensor: (C, H, W) of a map, (H*W, C) of tokens, (C,) of a vector, (elements,) of maps."""
        return {
            "map": (self.channels, self.height, self.width),
            "tokens": (self.positions, self.channels),
            "vector": (self.channels,),
            "maps": (self.elements,),
        }[self.layout]

    def __str__(self) -> str:
        if self.layout == "vector":
            return f"{self.channels}"
        tail = " tokens" if self.layout == "tokens" else ""
        return f"{self.channels}x{self.height}x{self.width}{tail}"

    def expect(self, layout: Layout, *, by: str) -> None:
        """Raise unless the layout is the one that a layer needs.

        Raises:
            ArchitectureError: Naming the layer, what it got and what it needs.
        """
        if self.layout != layout:
            raise ArchitectureError(f"{by} needs a {layout}, but its input is {self} ({self.layout})")

    def expect_channels(self, channels: int, *, by: str) -> None:
        """Raise unless the channel count is the one that a layer was made for.

        Raises:
            ArchitectureError: Naming the layer, what it got and what it needs.
        """
        if self.channels != channels:
            raise ArchitectureError(f"{by} takes {channels} channels, but its input is {self}")


class Maps(Shape, frozen=True):
    """Several shapes that flow together, the last map of a network and those that its head taps; named by the first."""

    every: tuple[Shape, ...] = ()

    @property
    def maps(self) -> tuple[Shape, ...]:
        """All of them."""
        return self.every

    @property
    def elements(self) -> int:
        """How many numbers one image has in all of them."""
        return sum(shape.elements for shape in self.maps)

    def __str__(self) -> str:
        return " and ".join(map(str, self.maps))


def together(*shapes: Shape) -> Shape:
    """Shapes that flow together; one alone is itself."""
    first = shapes[0]
    return Maps(first.channels, first.height, first.width, "maps", shapes) if len(shapes) > 1 else first
