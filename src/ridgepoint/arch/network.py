"""A network as a value: stem, stages of blocks, head, and what they share."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.fold import fold
from ridgepoint.arch.heads import Head, HeadBase
from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.arch.recipe import PlacedLayer, Recipe, place
from ridgepoint.arch.roles import Count
from ridgepoint.arch.shape import Shape, together
from ridgepoint.arch.taps import leaving
from ridgepoint.errors import ArchitectureError
from ridgepoint.validation import Name


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Blocks in order; by custom the first one carries the stride."""

    blocks: tuple[Block, ...]


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An architecture: it compares, hashes, travels as YAML or JSON, and needs no torch.

    `input` is (channels, height, width) in pixels: where counts are taken and what `build` makes; the network itself
    accepts other sizes.
    """

    name: Name
    input: tuple[Count, Count, Count]
    conventions: Conventions = Conventions()
    stem: tuple[Block, ...]
    stages: tuple[Stage, ...]
    head: Head = PooledHead()
    num_classes: Count = 1000

    @property
    def input_shape(self) -> Shape:
        """The input as a shape."""
        return Shape(*self.input)

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the structure, whatever the network is called."""
        return _digest(msgspec.structs.replace(self, name=""))

    def at(self, *, height: int | None = None, width: int | None = None, channels: int | None = None) -> "Network":
        """The same network for another input; width defaults to the height given."""
        width = width or height
        given = (channels or self.input[0], height or self.input[1], width or self.input[2])
        return msgspec.structs.replace(self, input=given)

    def with_classes(self, num_classes: int) -> "Network":
        """The same network for another number of classes."""
        return msgspec.structs.replace(self, num_classes=num_classes)

    def rows(self) -> list[tuple[str, Block]]:
        """Every block with its path: `stem.0`, `stages.1.0`, ..."""
        stem = [(f"stem.{index}", block) for index, block in enumerate(self.stem)]
        body = [
            (f"stages.{number}.{index}", block)
            for number, stage in enumerate(self.stages)
            for index, block in enumerate(stage.blocks)
        ]
        return stem + body

    def parts(self) -> list[tuple[str, "Block | Head"]]:
        """Every block with its path, and the head."""
        return [*self.rows(), ("head", self.head)]


class State(NamedTuple):
    """All that a part needs to know of what is before it.

    `tapped` are the maps that the head wants, and what of them there is so far; where it wants none, nothing is counted
    of `reduction`, the input pixels of one position along one side.
    """

    shape: Shape
    conventions: Conventions
    num_classes: int
    tapped: tuple[tuple[int | str, Shape | None], ...] = ()
    reduction: int = 1

    @classmethod
    def first(cls, shape: Shape, conventions: Conventions, num_classes: int, taps: Iterable[int | str]) -> "State":
        """What reaches the first part of a network whose head has these taps."""
        tapped = tuple([(tap, shape if tap == 1 else None) for tap in taps])
        return cls(shape, conventions, num_classes, tapped)

    def reaching(self, part: Block | Head) -> Shape:
        """What a part gets: the shape before it, and the maps that it taps.

        Raises:
            ArchitectureError: If no block before it leaves one of them.
        """
        if not part.taps:
            return self.shape
        known = dict(self.tapped)
        maps = []
        for tap in part.taps:
            if (shape := known.get(tap)) is None:
                raise ArchitectureError(
                    f": taps {tap}, and nothing before it leaves that. Allowed: the path of a block, such as "
                    "stages.1.0, of a part of one that ends in an activation, such as stages.4.0.expand, or the input "
                    "pixels of one position of a map, such as 8"
                )
            maps.append(shape)
        return together(self.shape, *maps)

    def after(self, path: str, site: "Site", output: Shape) -> "State":
        """What is before the next part.

        Raises:
            ArchitectureError: If a part is tapped where folding would change what leaves it.
        """
        reduction = self.reduction * site.part.reduction
        tapped = []
        for tap, old in self.tapped:
            new = leaving(tap, path, reduction, output, lambda: _placed(*site, False).layers)
            tapped.append((tap, new or old))
        return State(output, self.conventions, self.num_classes, tuple(tapped), reduction)


class Site(NamedTuple):
    """A block or head with all that its layers depend on, in the order that `place_row` takes it."""

    part: Block | Head
    input: Shape
    conventions: Conventions
    num_classes: int


class Made(Protocol):
    """What somebody makes of a part at its site; its output reaches the next part."""

    @property
    def output(self) -> Shape:
        """The shape that leaves the part."""
        ...


M = TypeVar("M", bound=Made)


def stream(network: Network, make: Callable[[Site], M]) -> Iterator[tuple[str, Site, M]]:
    """Every block of a network and its head, in order: path, site, and what `make` makes of it.

    Raises:
        ArchitectureError: If the network is impossible; the message starts with the part's path.
    """
    taps = network.head.taps
    state = State.first(network.input_shape, network.conventions, network.num_classes, taps)
    return follow(network.parts(), state, make)


def follow(
    parts: Iterable[tuple[str, Block | Head]], state: State, make: Callable[[Site], M]
) -> Iterator[tuple[str, Site, M]]:
    """The same for some parts in a row, which a state reaches.

    Raises:
        ArchitectureError: If a part cannot take what reaches it; the message starts with its path.
    """
    for path, part in parts:
        try:
            shape = state.reaching(part) if state.tapped else state.shape  # asked first: this is a search's inner loop
            site = Site(part, shape, state.conventions, state.num_classes)
            made = make(site)
            state = state.after(path, site, made.output) if state.tapped else state._replace(shape=made.output)
        except ArchitectureError as error:
            raise ArchitectureError(f"{path}{error}") from None
        yield path, site, made


class PlacedBlock(msgspec.Struct, frozen=True):
    """A block (or the head) at its place, with its recipe, its shapes and its layers."""

    path: str
    block: Block | Head
    recipe: Recipe
    input: Shape
    output: Shape
    layers: tuple[PlacedLayer, ...]


def place_blocks(network: Network, *, deploy: bool = False) -> tuple[PlacedBlock, ...]:
    """Every block of a network and its head, in order, with shapes.

    Args:
        network: The network.
        deploy: Whether to give the folded form that ships instead of the form that is trained.

    Raises:
        ArchitectureError: If the network is impossible; the message starts with the block's path.
    """
    placed = []
    for (path, _), (site, row) in zip(network.parts(), placed_parts(network, deploy=deploy), strict=True):
        layers = tuple([PlacedLayer(path + at.path, at.layer, at.inputs, at.output) for at in row.layers])
        placed.append(PlacedBlock(path, site.part, row.recipe, site.input, row.output, layers))
    return tuple(placed)


def lower(network: Network, *, deploy: bool = False) -> tuple[PlacedLayer, ...]:
    """Every layer of a network in execution order, with its path and shapes.

    Args:
        network: The network.
        deploy: Whether to give the folded form that ships instead of the form that is trained.

    Raises:
        ArchitectureError: If the network is impossible; the message starts with the block's path.
    """
    return tuple(layer for block in place_blocks(network, deploy=deploy) for layer in block.layers)


class PlacedRow(msgspec.Struct, frozen=True):
    """A block (or the head) for a given input: recipe, layers (their paths start at the block) and output."""

    recipe: Recipe
    layers: tuple[PlacedLayer, ...]
    output: Shape


def place_row(part: Block | Head, shape: Shape, conventions: Conventions, num_classes: int, deploy: bool) -> PlacedRow:
    """A block or head, placed; nothing else of the network matters, so callers may keep the result.

    Raises:
        ArchitectureError: If it cannot take the shape; the message lacks only the block's path in front.
    """
    try:
        if isinstance(part, HeadBase):
            recipe = part.recipe(shape, conventions, num_classes)
        else:
            recipe = part.wired(shape, conventions)
    except ArchitectureError as error:
        raise ArchitectureError(f": {error}") from None
    recipe = fold(recipe) if deploy else recipe
    layers, output = place(recipe, shape, "")
    return PlacedRow(recipe, tuple(layers), output)


# Searches place the same rows again and again.
_placed = lru_cache(maxsize=8192)(place_row)


@lru_cache(maxsize=64)
def placed_parts(network: Network, *, deploy: bool = False) -> tuple[tuple[Site, PlacedRow], ...]:
    """Every block of a network and its head, in order, as `place_blocks` has them, but without paths: faster.

    Raises:
        ArchitectureError: If the network is impossible; the message starts with the block's path.
    """
    return tuple([(site, row) for _, site, row in stream(network, lambda site: _placed(*site, deploy))])


def answer_shape(network: Network) -> tuple[int, ...]:
    """What a network gives for one image: (classes,), a class map (classes, height, width), or (rows, columns).

    Raises:
        ArchitectureError: If the network is impossible, or gives several things.
    """
    output = placed_parts(network)[-1][1].output
    if output.layout == "vector":
        return (output.channels,)
    if output.layout == "tokens":
        return (output.positions, output.channels)
    output.expect("map", by=f"{network.name}: a file of one output")
    return (output.channels, output.height, output.width)


# What the language did not know at first, where it says nothing: digests name what older tables and journals hold.
_LATER = {
    ", dilation=1)": ")",
    ", se_activation='relu'": "",
    ", se_gate='hard_sigmoid'": "",
    ", always_expand=False": "",
    ", early_norms=True": "",
    ", hidden_bias=None": "",
    ", depthwise=False": "",
    ", before_pool=False": "",
    ", norm_kind='batch'": "",
    ", groups=1": "",
    ", refine=True": "",
    ", norms='branches'": "",
    "(norms='branches')": "()",
}
# Said at the end of blocks that had nothing of the kind.
_LATER_SQUEEZE = re.compile(r"(Separable\([^()]*), se_channels=None")


@lru_cache(maxsize=4096)
def _digest(network: Network) -> str:
    # Not of the JSON: that leaves a default out only where the very object is the default's.
    told = repr(network)
    for later, before in _LATER.items():
        told = told.replace(later, before)
    told = _LATER_SQUEEZE.sub(r"\1", told)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
