"""Recipes: how the layers of a block are wired. Two forms are enough for every architecture here.

A `Chain` runs its parts one after the other; a `Parallel` gives its input to every branch and joins their outputs.
An empty chain is the identity. Residuals, squeeze-excitation, re-parameterisable branches and attention are `Parallel`s
that differ in the layer that joins. Names become module names and paths in cost tables.
"""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from ridgepoint.arch.layer import Add, Layer
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class Chain(msgspec.Struct, frozen=True):
    """Named parts, run in order; empty means identity."""

    parts: tuple[tuple[str, "Recipe"], ...] = ()


class Parallel(msgspec.Struct, frozen=True):
    """Named branches of one input, and the layer that joins their outputs."""

    branches: tuple[tuple[str, "Recipe"], ...]
    join: Layer


Recipe: TypeAlias = Layer | Chain | Parallel
IDENTITY = Chain()


class PlacedLayer(msgspec.Struct, frozen=True, gc=False):
    """A layer at its place: its path in the network, what goes in and what comes out."""

    path: str
    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape


def chain(**parts: Recipe | None) -> Chain:
    """A chain of the given parts in order; parts that are None are left out."""
    return Chain(tuple([(name, part) for name, part in parts.items() if part is not None]))


def residual(body: Recipe) -> Parallel:
    """The input plus the body's output."""
    return Parallel((("skip", IDENTITY), ("body", body)), Add())


def place(recipe: Recipe, shape: Shape, path: str) -> tuple[list[PlacedLayer], Shape]:
    """Every layer of a recipe in execution order, with its shapes, and the final shape.

    Raises:
        ArchitectureError: If a layer cannot take what reaches it; the message starts with its path.
    """
    placed: list[PlacedLayer] = []
    final = _place(recipe, shape, path, placed)
    return placed, final


def _place(recipe: Recipe, shape: Shape, path: str, placed: list[PlacedLayer]) -> Shape:
    if isinstance(recipe, Layer):  # first: most calls are for a layer
        return _append(recipe, (shape,), path, placed)
    if isinstance(recipe, Chain):
        for name, part in recipe.parts:
            shape = _place(part, shape, f"{path}.{name}", placed)
        return shape
    inputs = tuple([_place(branch, shape, f"{path}.{name}", placed) for name, branch in recipe.branches])
    return _append(recipe.join, inputs, f"{path}.join", placed)


def _append(layer: Layer, inputs: tuple[Shape, ...], path: str, placed: list[PlacedLayer]) -> Shape:
    try:
        output = layer.output(*inputs)
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None
    placed.append(PlacedLayer(path, layer, inputs, output))
    return output


def walk(recipe: Recipe) -> Iterator[Layer]:
    """All layers of a recipe, without shapes."""
    if isinstance(recipe, Chain):
        for _, part in recipe.parts:
            yield from walk(part)
    elif isinstance(recipe, Parallel):
        for _, branch in recipe.branches:
            yield from walk(branch)
        yield recipe.join
    else:
        yield recipe
