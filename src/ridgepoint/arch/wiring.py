"""How a recipe is wired, whatever its widths: what narrowing must keep, and what drawings and trainings ask."""

from itertools import count
from typing import TypeGuard

from ridgepoint.arch.attention import HeadAttention, SeparableAttention
from ridgepoint.arch.layer import Add, BatchNorm, Conv2d, Gate, Join, Layer, Linear, SelfAttention
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe

_MIXERS = (Conv2d, Linear, SelfAttention, HeadAttention, SeparableAttention)


def inherits(child: Recipe, parent: Recipe) -> bool:
    """Whether a recipe is made of the layers of another one, so that it can be a narrower form of it.

    A re-parameterisable identity may come, with the equal widths that it needs; nothing may go. Of a convolution of few
    groups whole groups may go: nothing tells which channels of narrower ones belong together.
    """
    if isinstance(child, Chain) and isinstance(parent, Chain):
        pairs = zip(child.parts, parent.parts, strict=False)
        return len(child.parts) == len(parent.parts) and all(
            name == other and inherits(mine, theirs) for (name, mine), (other, theirs) in pairs
        )
    if isinstance(child, Parallel) and isinstance(parent, Parallel):
        mine, theirs = dict(child.branches), dict(parent.branches)
        return (
            type(child.join) is type(parent.join)
            and theirs.keys() <= mine.keys()
            and all(inherits(mine[name], theirs[name]) for name in theirs)
            and all(is_silent(mine[name]) for name in mine.keys() - theirs.keys())
        )
    if is_grouped(child) or is_grouped(parent):
        return isinstance(child, Conv2d) and isinstance(parent, Conv2d) and group_widths(child) == group_widths(parent)
    return type(child) is type(parent) and _is_depthwise(child) == _is_depthwise(parent)


def is_grouped(layer: object) -> TypeGuard[Conv2d]:
    """Whether it is a convolution of few groups, neither dense nor depthwise."""
    return isinstance(layer, Conv2d) and 1 < layer.groups < layer.in_channels


def group_widths(layer: Conv2d) -> tuple[int, int]:
    """Input and output channels of each of a convolution's groups."""
    return layer.in_channels // layer.groups, layer.out_channels // layer.groups


def is_silent(branch: Recipe) -> bool:
    """Whether a branch is a norm alone: a re-parameterisable identity, which can begin as zero."""
    return isinstance(branch, Chain) and [name for name, _ in branch.parts] == ["norm"]


def has_skip(recipe: Recipe) -> bool:
    """Whether an input is added to what became of it, anywhere in the recipe."""
    if isinstance(recipe, Chain):
        return any(has_skip(part) for _, part in recipe.parts)
    if isinstance(recipe, Parallel):
        adds = isinstance(recipe.join, Add) and any(branch == IDENTITY for _, branch in recipe.branches)
        return adds or any(has_skip(branch) for _, branch in recipe.branches)
    return False


def adds_convolutions(recipe: Recipe) -> bool:
    """Whether several convolutions of one input are added, anywhere in the recipe: they will fold into one."""
    if isinstance(recipe, Chain):
        return any(adds_convolutions(part) for _, part in recipe.parts)
    if isinstance(recipe, Parallel):
        single = [branch for _, branch in recipe.branches if _is_convolution(branch)]
        adds = isinstance(recipe.join, Add) and len(single) > 1
        return adds or any(adds_convolutions(branch) for _, branch in recipe.branches)
    return False


def keeps_channels(recipe: Recipe) -> bool:
    """Whether every output channel stands for the input channel of its number, because it is added or only scaled.

    Then both have one width, and neither can shrink without the other.
    """
    follower = _Follower()
    return follower.root(follower.follow(recipe, 0)) == 0


class _Follower:
    """Numbers every set of channels that layers make; those that are added to each other become one set."""

    def __init__(self) -> None:
        self.fresh = count(1)
        self.same: dict[int, int] = {}

    def root(self, channels: int) -> int:
        while channels in self.same:
            channels = self.same[channels]
        return channels

    def follow(self, recipe: Recipe, channels: int) -> int:
        if isinstance(recipe, Chain):
            for _, part in recipe.parts:
                channels = self.follow(part, channels)
            return channels
        if isinstance(recipe, Parallel):
            return self.joined(recipe.join, [self.follow(branch, channels) for _, branch in recipe.branches])
        kept = _is_depthwise(recipe) and recipe.in_channels == recipe.out_channels
        mixes = isinstance(recipe, _MIXERS) and not kept
        return next(self.fresh) if mixes else channels

    def joined(self, join: Layer, ends: list[int]) -> int:
        if isinstance(join, Gate):
            return ends[0]
        if not isinstance(join, Join):
            return next(self.fresh)
        first, *others = sorted({self.root(end) for end in ends})
        self.same |= dict.fromkeys(others, first)
        return first


def _is_depthwise(recipe: Recipe) -> TypeGuard[Conv2d]:
    return isinstance(recipe, Conv2d) and recipe.groups > 1 and recipe.groups == recipe.in_channels


def _is_convolution(branch: Recipe) -> bool:
    """Whether a branch is a convolution, perhaps with a norm."""
    if not isinstance(branch, Chain):
        return isinstance(branch, Conv2d)
    kinds = [type(part) for _, part in branch.parts]
    return kinds in ([Conv2d], [Conv2d, BatchNorm])
