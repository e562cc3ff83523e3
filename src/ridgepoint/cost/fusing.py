"""Which layers share one pass over memory: how runtimes fuse.

    none        every layer reads its inputs from memory and writes its output there
    activation  a norm, activation or layer scale joins the convolution, linear layer, addition or gate before it
    residual    as activation, and a residual addition joins the convolution that ends its branch; the skip is read
                there
    block       nothing inside a block reaches memory: its input, its output and its weights move. No runtime does this
                everywhere; it is the bound that accelerators with large on-chip memory approach

What never joins another pass: pools, reshapes, the softmax and the two products of attention, layer norms, and the
multiplication of squeeze-excitation, which needs its gate complete before it can begin.

A layer joins only the pass whose output it alone reads; what begins a branch of a residual does not join what was
before it. `activation` is what TensorFlow Lite with XNNPACK does, `residual` what ONNX Runtime does on CPUs.
"""

from collections.abc import Iterator
from typing import Literal, get_args

from ridgepoint.arch.layer import (
    Activation,
    Add,
    BatchNorm,
    Conv2d,
    Dropout,
    Gate,
    Join,
    LayerScale,
    Linear,
    StochasticDepth,
)
from ridgepoint.arch.recipe import Chain, Parallel, PlacedLayer, Recipe
from ridgepoint.errors import InputError, nearest

Fusing = Literal["none", "activation", "residual", "block"]
Pass = list[PlacedLayer]
_FOLLOWERS = (BatchNorm, Activation, LayerScale, Dropout, StochasticDepth)
_HOSTS = (Conv2d, Linear, Join, Gate, *_FOLLOWERS)


def fusing_named(fused: bool | str) -> Fusing:
    """The way of fusing with a name; True means `activation`, False `none`.

    Raises:
        InputError: If there is no such way.
    """
    if isinstance(fused, bool):
        return "activation" if fused else "none"
    for each in get_args(Fusing):
        if fused == each:
            return each  # type: ignore[no-any-return]
    raise InputError(f"unknown way of fusing '{fused}'; {nearest(fused, get_args(Fusing))}")


def passes(recipe: Recipe, placed: tuple[PlacedLayer, ...], fusing: Fusing) -> list[Pass]:
    """The layers of one block, grouped into passes in execution order; a pass starts with the layer that hosts it."""
    if fusing == "block":
        return [list(placed)]
    if fusing == "none":
        return [[layer] for layer in placed]
    found: list[Pass] = []
    _walk(recipe, iter(placed), None, found, fusing == "residual")
    return found


def _walk(
    recipe: Recipe, placed: Iterator[PlacedLayer], before: Pass | None, found: list[Pass], adds: bool
) -> Pass | None:
    """Groups the layers of a recipe; gives the pass that made its output, None where a layer after it cannot join.

    Args:
        recipe: What `placed` was placed from, so that both are walked in step.
        placed: The layers not grouped yet.
        before: The pass whose output only this recipe reads.
        found: All passes so far; grows.
        adds: Whether additions join.
    """
    if isinstance(recipe, Chain):
        for _, part in recipe.parts:
            before = _walk(part, placed, before, found, adds)
        return before
    if isinstance(recipe, Parallel):
        # All branches read the input, so none of their first layers may swallow it.
        ends = [_walk(branch, placed, None, found, adds) for _, branch in recipe.branches]
        joined = ends[-1] if adds and isinstance(recipe.join, Add) else None
        return _append(next(placed), joined, found, (Conv2d, Linear))
    layer = next(placed)
    return _append(layer, before if isinstance(layer.layer, _FOLLOWERS) else None, found, _HOSTS)


def _append(layer: PlacedLayer, into: Pass | None, found: list[Pass], hosts: tuple[type, ...]) -> Pass:
    if into is not None and isinstance(into[0].layer, hosts):
        into.append(layer)
        return into
    found.append([layer])
    return found[-1]
