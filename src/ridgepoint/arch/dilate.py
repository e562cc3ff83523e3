"""A recipe whose kernels reach further: the taps of every one larger than 1x1 lie some pixels apart."""

import msgspec

from ridgepoint.arch.layer import AveragePool, Conv2d, DilatedConv2d, Layer, PatchConv2d
from ridgepoint.arch.recipe import Chain, Parallel, Recipe
from ridgepoint.errors import ArchitectureError


def dilated(recipe: Recipe, dilation: int) -> Recipe:
    """The recipe with the taps of all its kernels so many pixels apart.

    Raises:
        ArchitectureError: If it pools over a window, for which there is no such form.
    """
    if isinstance(recipe, Chain):
        return Chain(tuple([(name, dilated(part, dilation)) for name, part in recipe.parts]))
    if isinstance(recipe, Parallel):
        branches = tuple([(name, dilated(branch, dilation)) for name, branch in recipe.branches])
        return Parallel(branches, recipe.join)
    return _layer(recipe, dilation)


def _layer(layer: Layer, dilation: int) -> Layer:
    if isinstance(layer, AveragePool) and layer.kernel > 1:
        raise ArchitectureError(
            f"dilation is {dilation}, and it averages over {layer.kernel}x{layer.kernel} windows. Allowed: 1, or a "
            "block without such a pool"
        )
    if isinstance(layer, PatchConv2d) and layer.kernel > 1:
        raise ArchitectureError(
            f"dilation is {dilation}, and it is of patches, side by side. Allowed: 1, or a block without patches"
        )
    if isinstance(layer, Conv2d) and layer.kernel > 1:
        return DilatedConv2d(**msgspec.structs.asdict(layer) | {"dilation": dilation})
    return layer
