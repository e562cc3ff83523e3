"""The deploy form of a recipe: what is left after batch norms and parallel branches are folded into convolutions.

The mirror, without weights, of `ridgepoint.nn.fuse`: counts and latencies of what ships come from here.
"""

from typing import TypeGuard

import msgspec

from ridgepoint.arch.layer import (
    Add,
    Average,
    BatchNorm,
    Conv2d,
    Dropout,
    GlobalPool,
    Layer,
    LayerScale,
    Linear,
    StochasticDepth,
    Subtract,
    ToVector,
)
from ridgepoint.arch.norms import RmsNorm
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe
from ridgepoint.arch.shaping import Subsample

_IDENTITIES = (Dropout, StochasticDepth)  # tuples: `isinstance` with a union builds it anew at every call
_AFFINE = (BatchNorm, LayerScale)
_MEANS = (GlobalPool, ToVector)  # of an affine map they give the same affine map of the mean


def fold(recipe: Recipe) -> Recipe:
    """The recipe that computes the same in eval mode with the fewest layers.

    Batch norm and layer scale go into the convolution or linear layer before them, a batch norm with none before it
    into the 1x1 convolution or linear layer after it, also across a pool, re-parameterisable branches into one
    convolution, two averaged classifiers into one; dropout and stochastic depth vanish.

    Source: RepVGG, arXiv:2101.03697, section 3.3; MobileOne, arXiv:2206.04040, section 3.2.
    """
    if isinstance(recipe, Layer):  # first: most calls are for a layer
        return recipe
    if isinstance(recipe, Chain):
        return _fold_chain(recipe)
    branches = tuple([(name, fold(branch)) for name, branch in recipe.branches])
    return _merge(recipe.join, branches) or Parallel(branches, recipe.join)


def _fold_chain(recipe: Chain) -> Recipe:
    parts: list[tuple[str, Recipe]] = []
    for name, part in recipe.parts:
        part = fold(part)
        if isinstance(part, _IDENTITIES):
            continue
        absorbed = _absorb(parts[-1][1], part) if parts else None
        norm = _norm_before(parts)
        if norm is not None and _is_pointwise(part):
            del parts[norm]
            parts.append((name, msgspec.structs.replace(part, bias=True)))
        elif absorbed is None:
            parts.append((name, part))
        else:
            parts[-1] = (parts[-1][0], absorbed)
    return Chain(tuple(parts))


def _norm_before(parts: list[tuple[str, Recipe]]) -> int | None:
    """Where the norm is that what comes next can take in, perhaps across a pool."""
    for index in range(len(parts) - 1, -1, -1):
        if isinstance(parts[index][1], BatchNorm):
            return index
        if not isinstance(parts[index][1], _MEANS):
            return None
    return None


def _absorb(before: Recipe, part: Recipe) -> Recipe | None:
    """`before` with the affine layer `part` folded into its last layer, or None where that cannot be."""
    if not isinstance(part, _AFFINE):
        return None
    if isinstance(before, Chain) and before.parts:
        name, last = before.parts[-1]
        absorbed = _absorb(last, part)
        return None if absorbed is None else Chain((*before.parts[:-1], (name, absorbed)))
    if isinstance(before, Conv2d | Linear):
        return msgspec.structs.replace(before, bias=True) if isinstance(part, BatchNorm) else before
    return before if isinstance(before, RmsNorm) and isinstance(part, LayerScale) else None


def _is_pointwise(part: Recipe) -> TypeGuard[Conv2d | Linear]:
    """Whether a part computes each position from that position alone, so that no border sees another input."""
    return isinstance(part, Linear) or (isinstance(part, Conv2d) and part.kernel == part.groups == 1)


def _merge(join: Layer, branches: tuple[tuple[str, Recipe], ...]) -> Recipe | None:
    """One layer for all branches, or None where the join or a branch is not linear."""
    leaves = [_leaf(branch) for _, branch in branches]
    convolutions = [leaf for leaf in leaves if isinstance(leaf, Conv2d)]
    if isinstance(join, Add | Subtract) and convolutions and all(_is_linear(leaf) for leaf in leaves):
        widest = max(convolutions, key=lambda leaf: leaf.kernel)
        # With stride, SAME padding puts the centres of a 3x3 and a 1x1 kernel on different pixels.
        apart = any(
            isinstance(leaf, Subsample) or getattr(leaf, "kernel", widest.kernel) != widest.kernel for leaf in leaves
        )
        if widest.padding == "same" and widest.stride > 1 and apart:
            return None
        return msgspec.structs.replace(widest, bias=True)
    if isinstance(join, Average) and all(isinstance(leaf, Linear) for leaf in leaves):
        return leaves[0]
    return None


def _is_linear(leaf: Recipe) -> bool:
    """Whether a branch of a sum is a convolution, or an identity as one, perhaps with a stride."""
    return isinstance(leaf, Conv2d | BatchNorm | Subsample) or leaf == IDENTITY


def _leaf(recipe: Recipe) -> Recipe:
    while isinstance(recipe, Chain) and len(recipe.parts) == 1:
        recipe = recipe.parts[0][1]
    return recipe
