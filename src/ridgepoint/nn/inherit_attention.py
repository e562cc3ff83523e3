"""Which heads and dimensions a narrower attention keeps of those in `ridgepoint.arch.attention`.

Heads are kept whose values weigh most in the output, and in each the strongest key and value dimensions.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ridgepoint.arch.attention import HeadAttention, LinearAttention, MultiHeadAttention
from ridgepoint.arch.layer import SelfAttention
from ridgepoint.nn.axes import Axis, strongest

Heads: TypeAlias = HeadAttention | SelfAttention


def choose_joint(theirs: Heads, mine: Heads, joint: Axis, out: Axis) -> Callable[[], Tensor]:
    """Rules for a joint projection and for what attention gives; and that for the heads."""
    parts = (theirs.key_dim, theirs.key_dim, theirs.value_dim)
    order = _order(theirs)

    def strengths() -> tuple[Tensor, Tensor]:
        query, key, value = joint.strength()[order].split(parts, 1)
        return query * key, value * out.use().view(theirs.heads, -1)

    def heads() -> Tensor:
        return strongest(strengths()[1].sum(1), mine.heads)

    def chosen() -> tuple[Tensor, Tensor]:
        keys, values = (part[heads()] for part in strengths())
        return strongest(keys, mine.key_dim), strongest(values, mine.value_dim)

    def joint_kept() -> Tensor:
        keys, values = chosen()
        rows = order[heads()]
        found = [rows.gather(1, inside) for inside in (keys, theirs.key_dim + keys, 2 * theirs.key_dim + values)]
        if isinstance(mine, MultiHeadAttention):
            return torch.cat([each.flatten() for each in found])
        return torch.cat(found, 1).flatten()

    joint.rule = joint_kept
    out.rule = lambda: (heads()[:, None] * theirs.value_dim + chosen()[1]).flatten()
    return heads


def choose_apart(theirs: HeadAttention, mine: HeadAttention, axes: Sequence[Axis]) -> Callable[[], Tensor]:
    """Rules for the axes of query, key and value, of which the last is the output's too; and that for the heads."""
    query, key, value = axes

    def values() -> Tensor:
        return (value.strength() * value.use()).view(theirs.heads, -1)

    def heads() -> Tensor:
        return strongest(values().sum(1), mine.heads)

    def keys_kept() -> Tensor:
        keys = (query.strength() * key.strength()).view(theirs.heads, -1)[heads()]
        return (heads()[:, None] * theirs.key_dim + strongest(keys, mine.key_dim)).flatten()

    query.rule = key.rule = keys_kept
    value.rule = lambda: (heads()[:, None] * theirs.value_dim + strongest(values()[heads()], mine.value_dim)).flatten()
    return heads


def choose_stacked(theirs: HeadAttention, mine: HeadAttention, joint: Axis, parts: Sequence[Axis], out: Axis) -> None:
    """Rules for projections that lie one after the other: whole heads, the same of each, and all their dimensions."""
    size = 2 * theirs.key_dim + theirs.value_dim
    each, kept = theirs.heads // len(parts), mine.heads // len(parts)

    def rows() -> Tensor:
        heads = strongest(parts[0].strength().view(each, size).sum(1), kept)
        return (heads[:, None] * size + torch.arange(size)).flatten()

    for part in parts:
        part.rule = rows
    out.rule = lambda: (joint.kept[::size, None] // size * theirs.value_dim + torch.arange(theirs.value_dim)).flatten()


def choose_separable(count: int, joint: Axis, out: Axis) -> Axis:
    """Rules for separable attention's joint projection, and for the axis of its output, which is given back."""

    def channels() -> Tensor:
        keys, values = joint.strength()[1:].view(2, -1)
        return strongest(keys * values, count)

    def rows() -> Tensor:
        kept = channels()
        whole = (len(joint.strength()) - 1) // 2
        return torch.cat([torch.zeros(1, dtype=kept.dtype), 1 + kept, 1 + whole + kept])

    joint.rule, out.rule = rows, channels
    return out


def rescaled_queries(theirs: HeadAttention, mine: HeadAttention) -> Callable[[Tensor], Tensor] | None:
    """What makes up for the smaller key dimension, by whose root a softmax's products are divided."""
    if isinstance(mine, LinearAttention) or mine.key_dim == theirs.key_dim:
        return None
    scale, rows = math.sqrt(mine.key_dim / theirs.key_dim), mine.heads * mine.key_dim

    def change(tensor: Tensor) -> Tensor:
        return torch.cat([tensor[:rows] * scale, tensor[rows:]])

    return change


def _order(layer: Heads) -> Tensor:
    """Which channels of the joint projection are a head's query, key and value, (heads, 2*key_dim + value_dim)."""
    size = 2 * layer.key_dim + layer.value_dim
    every = torch.arange(layer.heads * size)
    if not isinstance(layer, MultiHeadAttention):
        return every.view(layer.heads, size)
    wide = layer.heads * layer.key_dim
    parts = every.split((wide, wide, layer.heads * layer.value_dim))
    return torch.cat([part.view(layer.heads, -1) for part in parts], 1)
