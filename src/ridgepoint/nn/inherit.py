"""A narrower or shallower network gets the most important channels of a trained one.

Both networks are walked side by side. Channels that must be kept alike form one `Axis`: those of a depthwise
convolution and its neighbours, those that residuals add, a squeeze-excitation's features and gate. After the walk every
axis knows which filters write it, and chooses; then every tensor is cut along its axes.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
import torch
from torch import Tensor
from torch.nn import functional as F

from ridgepoint.arch import layer as spec
from ridgepoint.arch import norms as norm_spec
from ridgepoint.arch import shaping as shape_spec
from ridgepoint.arch.attention import HeadAttention, SeparableAttention, TalkingAttention
from ridgepoint.arch.blocks import Block
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.recipe import Chain, Parallel, Recipe
from ridgepoint.arch.roles import SIZES
from ridgepoint.arch.taps import tap_paths
from ridgepoint.arch.wiring import group_widths, inherits, is_grouped, is_silent
from ridgepoint.errors import InheritanceError
from ridgepoint.nn.axes import Axis, in_groups, several, shuffled, sliced, stacked, strongest
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit_attention import (
    choose_apart,
    choose_joint,
    choose_separable,
    choose_stacked,
    rescaled_queries,
)

NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


def inherit(child: Network, parent: BuiltNetwork) -> BuiltNetwork:
    """A module for `child` with the parent's most important channels; an equal child computes what the parent computes.

    Filters are ranked by their L2 norm with batch norm and layer scale folded in, summed over all that write a channel.
    Attention keeps the heads whose values weigh most in the output, and in each the strongest key and value dimensions;
    queries are rescaled for the smaller key dimension. Of a stage with fewer blocks, equal blocks are matched first,
    then the earliest narrower ones. Kernels of another size are cropped or padded around their centre.

    Args:
        child: Block by block of the parent's kinds, nowhere wider.
        parent: A network of ours in train form; left as it is.

    Raises:
        InheritanceError: If the child is no narrower or shallower form of the parent; the message names the place.

    Source: NetAdapt, arXiv:1804.03230, section 3.2, for keeping filters by norm.
    Differs: layer norms see fewer channels, so where a stage of tokens gets narrower the function changes even if the
    channels left out are zero; everything else is exact.
    """
    walk = _walk(child, parent)
    conventions = msgspec.structs.replace(child.conventions, norm_eps=parent.network.conventions.norm_eps)
    model = build(msgspec.structs.replace(child, conventions=conventions))
    model.load_state_dict(walk.state(parent.state_dict()))
    return model.train(parent.training)


class _Taken(msgspec.Struct, frozen=True):
    """Where a tensor of the child comes from: the parent's key, the axis of each dimension, and a last change."""

    key: str
    axes: tuple[Axis | None, ...]
    change: Callable[[Tensor], Tensor] | None = None


def _walk(child: Network, parent: BuiltNetwork) -> "_Walk":
    """Both networks side by side, block by block."""
    mine = {placed.path: placed for placed in place_blocks(child)}
    theirs = {placed.path: placed for placed in place_blocks(parent.network)}
    walk = _Walk(child.name, parent)
    axis = walk.axes[""] = Axis(parent.network.input[0], child.input[0])
    taps = tap_paths(child.head.taps, [(path, block.reduction) for path, block in child.rows()])
    for path, other in _matched(child, parent.network):
        walk.last = None
        if path == "head" and taps:
            walk.bundle = [axis, *(walk.axes[tap] for tap in taps)]
        axis = walk.part(theirs[other].recipe, mine[path].recipe, other, path, axis)
    if axis.parent != axis.child:
        raise InheritanceError(
            f"{child.name} has {axis.child} classes, {parent.network.name} {axis.parent}; give it as many"
        )
    return walk


def _matched(child: Network, parent: Network) -> list[tuple[str, str]]:
    """Paths of the child's blocks with those of the parent's blocks that they come from, and the heads."""
    if len(child.stages) != len(parent.stages) or type(child.head) is not type(parent.head):
        raise InheritanceError(
            f"{child.name} cannot inherit from {parent.name}: both need as many stages and one kind of head"
        )
    groups = [("stem", child.stem, parent.stem)]
    pairs = zip(child.stages, parent.stages, strict=True)
    groups += [(f"stages.{number}", mine.blocks, theirs.blocks) for number, (mine, theirs) in enumerate(pairs)]
    found = []
    for where, mine, theirs in groups:
        places = _align(mine, theirs, lambda one, other: one == other) or _align(mine, theirs, _narrower)
        if places is None:
            raise InheritanceError(
                f"{child.name} cannot inherit from {parent.name}: {where}: its blocks are no narrower form of some of "
                "the parent's blocks in their order"
            )
        found += [(f"{where}.{index}", f"{where}.{place}") for index, place in enumerate(places)]
    return [*found, ("head", "head")]


def _align(mine: Sequence[Block], theirs: Sequence[Block], suits: Callable[[Block, Block], bool]) -> list[int] | None:
    """For each of my blocks the place of the earliest of theirs that suits it, in order; None if there is no way."""
    if not mine:
        return []
    for place in range(len(theirs) - len(mine) + 1):
        if suits(mine[0], theirs[place]):
            rest = _align(mine[1:], theirs[place + 1 :], suits)
            if rest is not None:
                return [place, *(place + 1 + other for other in rest)]
    return None


def _narrower(mine: Block, theirs: Block) -> bool:
    if type(mine) is not type(theirs):
        return False
    sizes = theirs.values(*SIZES)
    return all((size or 0) <= (sizes[name] or 0) for name, size in mine.values(*SIZES).items())


class _Walk:
    """Follows a recipe of the parent and one of the child; notes where every tensor of the child comes from."""

    def __init__(self, name: str, parent: BuiltNetwork):
        self.name, self.parent = name, parent
        self.tensors = parent.state_dict()
        self.taken: dict[str, _Taken] = {}
        self.fresh: dict[str, Tensor] = {}
        self.last: Tensor | None = None  # what the layer before wrote, as long as only gains follow
        self.axes: dict[str, Axis] = {}  # of what leaves each part, by the child's path
        self.bundle: list[Axis] = []  # of the maps that flow together, where several do

    def state(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The child's tensors, cut from the parent's."""
        found = dict(self.fresh)
        for key, taken in self.taken.items():
            tensor = tensors[taken.key]
            for dim, axis in enumerate(taken.axes):
                if axis is not None:
                    tensor = tensor.index_select(dim, axis.kept.to(tensor.device))
            found[key] = tensor if taken.change is None else taken.change(tensor)
        return found

    def part(self, theirs: Recipe, mine: Recipe, key: str, own: str, axis: Axis) -> Axis:
        """The axis of a recipe's output, given its input's; `key` is its place in the parent, `own` in the child."""
        self.axes[own] = self._part(theirs, mine, key, own, axis)
        return self.axes[own]

    def _part(self, theirs: Recipe, mine: Recipe, key: str, own: str, axis: Axis) -> Axis:
        if isinstance(mine, Chain) and isinstance(theirs, Chain):
            if [name for name, _ in theirs.parts] != [name for name, _ in mine.parts]:
                raise self._unlike(key)
            for (name, one), (_, other) in zip(mine.parts, theirs.parts, strict=True):
                axis = self.part(other, one, f"{key}.{name}", f"{own}.{name}", axis)
            return axis
        if isinstance(mine, Parallel) and isinstance(theirs, Parallel):
            return self._branches(theirs, mine, key, own, axis)
        if isinstance(mine, Chain | Parallel) or isinstance(theirs, Chain | Parallel) or type(mine) is not type(theirs):
            raise self._unlike(key)
        return self._layer(theirs, mine, key, own, axis)

    def _branches(self, theirs: Parallel, mine: Parallel, key: str, own: str, axis: Axis) -> Axis:
        known, outputs = dict(theirs.branches), []
        for name, branch in mine.branches:
            self.last = None
            if name not in known:
                self._silent(branch, key, f"{own}.{name}")
            else:
                outputs.append(self.part(known[name], branch, f"{key}.{name}", f"{own}.{name}", axis))
        self.last = None
        if known.keys() - dict(mine.branches).keys():
            raise self._unlike(key)
        return self._join(theirs.join, mine.join, key, own, outputs)

    def _silent(self, branch: Recipe, key: str, own: str) -> None:
        """A re-parameterisable identity that the parent lacks, as its channels differed there: it starts as zero."""
        if not is_silent(branch):
            raise self._unlike(key)
        channels = branch.parts[0][1].channels  # type: ignore[union-attr]
        for name in NORM_TENSORS:
            self.fresh[f"{own}.norm.{name}"] = (torch.ones if name == "running_var" else torch.zeros)(channels)
        self.fresh[f"{own}.norm.num_batches_tracked"] = torch.tensor(0)

    def _join(self, theirs: spec.Layer, mine: spec.Layer, key: str, own: str, axes: list[Axis]) -> Axis:
        if isinstance(mine, spec.MultiQueryAttention):
            assert isinstance(theirs, spec.MultiQueryAttention)
            return self._shared_attention(theirs, mine, own, *axes)
        if isinstance(mine, spec.Bundle):
            self.bundle = axes
            return axes[0]
        if isinstance(mine, spec.Resize | spec.Concat | spec.AnchoredRows):
            return axes[0]
        if isinstance(mine, shape_spec.Stack):
            return stacked(axes)
        if isinstance(mine, spec.Gate):
            features, gate = axes
            gate.rule = lambda: features.kept
            return features
        first, *rest = axes
        for other in rest:
            if (first.parent, first.child) != (other.parent, other.child):
                raise self._unlike(key)
            first = first.unite(other)
        return first

    def _layer(self, theirs: spec.Layer, mine: spec.Layer, key: str, own: str, axis: Axis) -> Axis:
        match mine:
            case spec.Conv2d() | spec.Linear():
                return self._linear(theirs, mine, key, own, axis)
            case spec.SharedConv2d():
                assert isinstance(theirs, spec.SharedConv2d)
                found = self._linear(theirs.conv, mine.conv, key, own, axis)
                self.bundle = [found] * len(self.bundle)
                return found
            case spec.BatchNorm() | spec.LayerNorm():
                eps = theirs.eps if isinstance(theirs, spec.BatchNorm) else None
                self._gain(f"{key}.weight", eps, f"{key}.running_var")
                names = NORM_TENSORS if isinstance(mine, spec.BatchNorm) else NORM_TENSORS[:2]
                self.taken |= {f"{own}.{name}": _Taken(f"{key}.{name}", (axis,)) for name in names}
                if isinstance(mine, spec.BatchNorm):
                    self.taken[f"{own}.num_batches_tracked"] = _Taken(f"{key}.num_batches_tracked", ())
            case norm_spec.ResponseNorm():
                self.last = None
                self.taken |= {f"{own}.{name}": _Taken(f"{key}.{name}", (axis,)) for name in NORM_TENSORS[:2]}
            case SeparableAttention():
                self.last = None
                return choose_separable(mine.channels, axis, Axis(axis.parent // 2, mine.channels))
            case norm_spec.GroupNorm():
                self._gain(f"{key}.weight")
                self.taken |= {f"{own}.{name}": _Taken(f"{key}.{name}", (axis,)) for name in NORM_TENSORS[:2]}
            case shape_spec.Shuffle():
                self.last = None
                return shuffled(axis, mine.groups)
            case shape_spec.Slice():
                assert isinstance(theirs, shape_spec.Slice)
                return sliced(axis, theirs, mine)
            case norm_spec.RmsNorm():
                self._gain(f"{key}.weight")
                self.taken[f"{own}.weight"] = _Taken(f"{key}.weight", (axis,))
            case spec.LayerScale():
                self._gain(f"{key}.gain")
                self.taken[f"{own}.gain"] = _Taken(f"{key}.gain", (axis,))
            case spec.SelfAttention():
                assert isinstance(theirs, spec.SelfAttention)
                return self._self_attention(theirs, mine, key, own, axis)
            case TalkingAttention():
                assert isinstance(theirs, TalkingAttention)
                return self._talking(theirs, mine, key, own)
            case HeadAttention():
                assert isinstance(theirs, HeadAttention)
                return self._heads(theirs, mine, own, axis)
            case spec.StochasticDepth():
                pass
            case spec.Pick():
                self.last = None
                return self.bundle[mine.index]
            case _:
                self.last = None
        return axis

    def _gain(self, key: str, eps: float | None = None, variance: str = "") -> None:
        """What was written last is scaled by a gain, of a batch norm divided by its deviation."""
        if self.last is not None:
            gain = self.tensors[key].detach().float().square()
            if eps is not None:
                gain = gain / (self.tensors[variance].float() + eps)
            self.last *= gain.cpu()

    def _linear(self, theirs: spec.Layer, mine: spec.Layer, key: str, own: str, axis: Axis) -> Axis:
        """A convolution or linear layer; a depthwise one keeps its input's axis."""
        depthwise = getattr(mine, "groups", 1) > 1
        inputs, outputs = (
            ("in_channels", "out_channels") if isinstance(mine, spec.Conv2d) else ("in_features", "out_features")
        )
        if axis.parent != getattr(theirs, inputs):
            raise InheritanceError(
                f"{self.name} cannot inherit from {self.parent.network.name}: {key} takes {getattr(theirs, inputs)} "
                f"channels, and the block before it that the child keeps gives {axis.parent}"
            )
        if (is_grouped(mine) or is_grouped(theirs)) and not inherits(mine, theirs):
            raise InheritanceError(
                f"{self.name} cannot inherit from {self.parent.network.name}: {key} is a convolution of few groups, "
                "and such a one is inherited as it is, or without some of its groups"
            )
        change = _kernel_change(theirs, mine)
        if depthwise:
            self.last, out = None, several(axis, getattr(theirs, outputs))
            filters = in_groups(out, group_widths(mine)[1]) if is_grouped(mine) else out
            self.taken[f"{own}.weight"] = _Taken(f"{key}.weight", (filters, None), change)
        else:
            out = Axis(getattr(theirs, outputs), getattr(mine, outputs))
            squares = self.tensors[f"{key}.weight"].detach().float().square().cpu()
            squares = squares.flatten(2).sum(2) if squares.dim() > 2 else squares
            self.last = squares.sum(1)
            out.written.append(self.last)
            axis.root.read.append(squares.sum(0))
            self.taken[f"{own}.weight"] = _Taken(f"{key}.weight", (out, axis), change)
        if out.child > out.parent:
            raise InheritanceError(
                f"{self.name} cannot inherit from {self.parent.network.name}: {key} has {out.child} channels in "
                f"the child and {out.parent} in the parent; a child must not be wider"
            )
        if mine.bias:  # type: ignore[attr-defined]
            self.taken[f"{own}.bias"] = _Taken(f"{key}.bias", (out,))
        return out

    def _shared_attention(
        self,
        theirs: spec.MultiQueryAttention,
        mine: spec.MultiQueryAttention,
        own: str,
        query: Axis,
        key: Axis,
        value: Axis,
    ) -> Axis:
        """All heads share the dimensions of key and value; queries and outputs have heads times these."""
        out = Axis(theirs.heads * theirs.value_dim, mine.heads * mine.value_dim)
        by_head = (theirs.heads, -1)

        def heads() -> Tensor:
            return strongest((out.use().view(by_head) * value.strength()).sum(1), mine.heads)

        key.rule = lambda: strongest(key.strength() * query.strength().view(by_head).sum(0), mine.key_dim)
        value.rule = lambda: strongest(value.strength() * out.use().view(by_head).sum(0), mine.value_dim)
        query.rule = lambda: (heads()[:, None] * theirs.key_dim + key.kept).flatten()
        out.rule = lambda: (heads()[:, None] * theirs.value_dim + value.kept).flatten()
        scale = math.sqrt(mine.key_dim / theirs.key_dim)  # attention divides by the root of the key dimension
        weight = f"{own}.query.weight"
        self.taken[weight] = msgspec.structs.replace(self.taken[weight], change=lambda tensor: tensor * scale)
        return out

    def _self_attention(
        self, theirs: spec.SelfAttention, mine: spec.SelfAttention, key: str, own: str, joint: Axis
    ) -> Axis:
        """Every head has its own query, key and value dimensions, one after the other in the joint projection."""
        out = Axis(theirs.heads * theirs.value_dim, mine.heads * mine.value_dim)
        heads = choose_joint(theirs, mine, joint, out)
        scale = math.sqrt(mine.key_dim / theirs.key_dim)

        def rescaled(tensor: Tensor) -> Tensor:
            tensor = tensor.clone().view(mine.heads, -1, *tensor.shape[1:])
            tensor[:, : mine.key_dim] *= scale
            return tensor.flatten(0, 1)

        projection = own.rpartition(".")[0] + ".qkv"
        for name in ("weight", "bias"):
            before = self.taken[f"{projection}.{name}"]
            self.taken[f"{projection}.{name}"] = msgspec.structs.replace(before, change=rescaled)

        head_axis = Axis(theirs.heads, mine.heads, heads)
        self.taken[f"{own}.bias"] = _Taken(f"{key}.bias", (head_axis, None), _grid_change(theirs, mine))
        self.last = None
        return out

    def _heads(self, theirs: HeadAttention, mine: HeadAttention, own: str, joint: Axis) -> Axis:
        """Attention of a joint projection `qkv`, which may end in a norm."""
        out = Axis(theirs.heads * theirs.value_dim, mine.heads * mine.value_dim)
        if joint.parts:
            choose_stacked(theirs, mine, joint, joint.parts, out)
        else:
            choose_joint(theirs, mine, joint, out)
        change = rescaled_queries(theirs, mine)
        unit = own.rpartition(".")[0] + ".qkv"
        unit = f"{unit}.norm" if f"{unit}.norm.weight" in self.taken else unit
        for name in [f"{unit}.{name}" for name in ("weight", "bias") if change and f"{unit}.{name}" in self.taken]:
            self.taken[name] = msgspec.structs.replace(self.taken[name], change=change)
        self.last = None
        return out

    def _talking(self, theirs: TalkingAttention, mine: TalkingAttention, key: str, own: str) -> Axis:
        """Attention of three maps; its output's channels are those of the values."""
        if mine.key_dim != theirs.key_dim:
            raise self._unlike(key)
        value = self.bundle[2]
        heads = Axis(theirs.heads, mine.heads, choose_apart(theirs, mine, self.bundle))
        self.taken[f"{own}.bias"] = _Taken(f"{key}.bias", (heads, None), _grid_change(theirs, mine))
        for name in ("before", "after") if mine.talks else ():
            self.taken[f"{own}.{name}_weight"] = _Taken(f"{key}.{name}_weight", (heads, heads))
            self.taken[f"{own}.{name}_bias"] = _Taken(f"{key}.{name}_bias", (heads,))
        self.last = None
        return value

    def _unlike(self, key: str) -> InheritanceError:
        return InheritanceError(
            f"{self.name} cannot inherit from {self.parent.network.name}: {key} is made of other layers in the child "
            "(a residual, an expansion or a branch more or less)"
        )


def _kernel_change(theirs: spec.Layer, mine: spec.Layer) -> Callable[[Tensor], Tensor] | None:
    """Crop or pad a kernel around its centre."""
    if not isinstance(mine, spec.Conv2d) or mine.kernel == theirs.kernel:  # type: ignore[attr-defined]
        return None
    margin = (mine.kernel - theirs.kernel) // 2  # type: ignore[attr-defined]
    return lambda tensor: F.pad(tensor, [margin] * 4)


Table: TypeAlias = spec.SelfAttention | TalkingAttention


def _grid_change(theirs: Table, mine: Table) -> Callable[[Tensor], Tensor] | None:
    """Resize a table of attention biases, by offset."""
    before, after = (theirs.bias_height, theirs.bias_width), (mine.bias_height, mine.bias_width)
    if before == after:
        return None

    def resized(table: Tensor) -> Tensor:
        square = table.view(1, -1, *before)
        return F.interpolate(square, after, mode="bilinear", align_corners=True).flatten(2)[0]

    return resized
