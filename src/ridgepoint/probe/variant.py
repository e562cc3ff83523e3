"""One side of a comparison: a module to clock and the input that it gets."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.shape import Shape
from ridgepoint.nn import layers
from ridgepoint.nn.build import build, initialise, module_of

Change = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Variant:
    """What is clocked.

    Attributes:
        make: Makes the module, with fresh weights.
        input: One image's input.
        folded: Whether norms and branches are folded before export.
    """

    make: Callable[[], nn.Module]
    input: Shape
    folded: bool = True


def whole(network: Network, *, folded: bool = True) -> Variant:
    """A network with its head."""
    return Variant(lambda: build(network), network.input_shape, folded)


def body(network: Network, change: Change | None = None, *, folded: bool = True) -> Variant:
    """A network without its head, which would be the same in all variants.

    Args:
        network: The network.
        change: What the architecture language cannot say, done to the built module.
        folded: Whether norms and branches are folded before export.
    """

    def make() -> nn.Module:
        model = build(network)
        stem_and_stages = nn.Sequential(model.stem, model.stages)
        return change(stem_and_stages) if change else stem_and_stages

    return Variant(make, network.input_shape, folded)


def of_recipe(recipe: Recipe, shape: Shape) -> Variant:
    """Layers wired by hand, for an input of the given shape."""

    def make() -> nn.Module:
        module = nn.Sequential(module_of(recipe, shape, layers.Grid(), 0.0, 0.0))
        initialise(module)
        return module

    return Variant(make, shape)
