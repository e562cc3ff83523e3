"""The base of all blocks: a block is a recipe of layers for a given input, and says in its fields what may vary."""

from typing import Self

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.dilate import dilated
from ridgepoint.arch.layer import ToMap
from ridgepoint.arch.part import Part
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.roles import OUT, STRIDE, Dilation
from ridgepoint.arch.shape import Shape


class BlockBase(Part, frozen=True, kw_only=True, tag_field="block"):
    """Base of all blocks. A subclass with a tag, in any module of this folder, is a kind of block."""

    dilation: Dilation = 1

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The block's layers for an input of the given shape: the only place where its topology is written."""
        raise NotImplementedError

    def wired(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The recipe as it is built: with the taps of every kernel `dilation` pixels apart."""
        recipe = self.recipe(shape, conventions)
        return recipe if self.dilation == 1 else dilated(recipe, self.dilation)

    @property
    def sets_width(self) -> bool:
        """Whether it has a width of its own; a block without one gives the channels that it gets."""
        return bool(self.values(OUT))

    def width_after(self, channels: int) -> int:
        """The channels that it gives for the channels that it gets."""
        for width in self.values(OUT).values():
            channels = width
        return channels

    def unstrided(self) -> Self:
        """The same block with every stride 1."""
        return msgspec.structs.replace(self, **dict.fromkeys(self.values(STRIDE), 1))


def to_map(shape: Shape) -> ToMap | None:
    """What brings tokens back to a map; nothing for a map."""
    return ToMap() if shape.layout == "tokens" else None
