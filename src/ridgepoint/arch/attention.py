"""Attention beyond the two kinds of `layer.py`: plain heads on a map, heads that talk, heads without a softmax."""

from typing import NamedTuple

import msgspec

from ridgepoint.arch.layer import Layer
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class AttentionStep(NamedTuple):
    """One pass that runtimes make of an attention: its name, kind of work, MACs, parameters, elements in and out."""

    name: str
    kind: str
    macs: int
    params: int
    read_elements: int
    write_elements: int


class HeadAttention(Layer, frozen=True):
    """Base of attention in which every head has queries, keys and values of its own; all on maps."""

    heads: int
    key_dim: int
    value_dim: int

    def macs(self, *inputs: Shape) -> int:
        """Of all steps."""
        return sum(step.macs for step in self.steps(*inputs))

    def steps(self, *inputs: Shape) -> list[AttentionStep]:
        """The passes that it is run in."""
        raise NotImplementedError


class MultiHeadAttention(HeadAttention, frozen=True):
    """Softmax attention of joint projections: the queries of all heads, then all keys, then all values.

    With a `patch` of 2 a position attends to those at its own place in windows of 2x2: to a quarter of all.

    Source: arXiv:1706.03762, section 3.2; MobileViT, arXiv:2110.02178, section 3.1, for the patches.
    """

    patch: int = 1

    def output(self, *inputs: Shape) -> Shape:
        """(heads*(2*key_dim + value_dim), H, W) to (heads*value_dim, H, W)."""
        (given,) = inputs
        given.expect("map", by="attention")
        given.expect_channels(self.heads * (2 * self.key_dim + self.value_dim), by="attention")
        _expect_patches(given, self.patch)
        return msgspec.structs.replace(given, channels=self.heads * self.value_dim)

    def steps(self, *inputs: Shape) -> list[AttentionStep]:
        """Query times key, softmax, scores times value."""
        count = inputs[0].positions
        scores = self.heads * count * count // self.patch**2
        value = self.heads * self.value_dim * count
        return _softmaxed(scores, self.key_dim, self.value_dim, inputs[0].elements - value, value, value, 0)


class TalkingAttention(HeadAttention, frozen=True):
    """Softmax attention of a query, a key and a value map, with a learned bias per offset.

    The query map may be coarser: its positions lie at every `stride`-th of the key's. Where heads talk, a 1x1
    convolution over them comes before the softmax and one after it. The bias is a table over (|dy|, |dx|), learned for
    `bias_height` x `bias_width` keys and resized to others.

    Source: EfficientFormerV2, arXiv:2212.08059, sections 3.1 to 3.3; arXiv:2003.02436 for talking heads.
    """

    bias_height: int
    bias_width: int
    stride: int = 1
    talks: bool = True

    def output(self, *inputs: Shape) -> Shape:
        """Query, key and value to (heads*value_dim, H, W) of the query."""
        query, key, value = inputs[0].maps
        query.expect_channels(self.heads * self.key_dim, by="the query of attention")
        key.expect_channels(self.heads * self.key_dim, by="the key of attention")
        value.expect_channels(self.heads * self.value_dim, by="the value of attention")
        return msgspec.structs.replace(query, channels=value.channels)

    def steps(self, *inputs: Shape) -> list[AttentionStep]:
        """Query times key, [talk], softmax, [talk], scores times value."""
        query, key, value = inputs[0].maps
        scores = self.heads * query.positions * key.positions
        out = self.heads * self.value_dim * query.positions
        found = _softmaxed(
            scores, self.key_dim, self.value_dim, query.elements + key.elements, value.elements, out, self._table
        )
        if not self.talks:
            return found
        talk = (self.heads * scores, self.heads * (self.heads + 1), scores, scores)
        first, softmax, last = found
        return [
            first,
            AttentionStep("before", "pointwise", *talk),
            softmax,
            AttentionStep("after", "pointwise", *talk),
            last,
        ]

    @property
    def _table(self) -> int:
        return self.heads * self.bias_height * self.bias_width

    def params(self) -> int:
        """One bias per head and offset; matrix and bias of both convolutions over heads."""
        return self._table + self.talks * 2 * self.heads * (self.heads + 1)


class LinearAttention(HeadAttention, frozen=True):
    """Attention without a softmax: rectified queries times the one matrix of all rectified keys and values of a head.

    Divided by the queries times the sum of the keys. The input holds, per head, query, key and value one after the
    other.

    Source: EfficientViT, arXiv:2205.14756, section 3.1.
    """

    def output(self, *inputs: Shape) -> Shape:
        """(heads*(2*key_dim + value_dim), H, W) to (heads*value_dim, H, W)."""
        (given,) = inputs
        given.expect("map", by="attention")
        given.expect_channels(self.heads * (2 * self.key_dim + self.value_dim), by="attention")
        return msgspec.structs.replace(given, channels=self.heads * self.value_dim)

    def steps(self, *inputs: Shape) -> list[AttentionStep]:
        """Keys times values and ones, queries times that."""
        (given,) = inputs
        macs = self.heads * given.positions * self.key_dim * (self.value_dim + 1)
        query = self.heads * self.key_dim * given.positions
        matrix = self.heads * self.key_dim * (self.value_dim + 1)
        out = self.heads * self.value_dim * given.positions
        return [
            AttentionStep("memory", "attention", macs, 0, given.elements - query, matrix),
            AttentionStep("values", "attention", macs, 0, query + matrix, out),
        ]


class SeparableAttention(Layer, frozen=True):
    """The mean of all keys, weighted by a softmax of one number each, times the rectified value of every position.

    The input holds the one number, the keys, the values. Positions of equal place in patches are apart.

    Source: MobileViTv2, arXiv:2206.02680, section 3.2.
    """

    channels: int
    patch: int = 1

    def output(self, *inputs: Shape) -> Shape:
        """(1 + 2*channels, H, W) to (channels, H, W)."""
        (given,) = inputs
        given.expect("map", by="attention")
        given.expect_channels(1 + 2 * self.channels, by="attention")
        _expect_patches(given, self.patch)
        return msgspec.structs.replace(given, channels=self.channels)


def _expect_patches(given: Shape, patch: int) -> None:
    if given.height % patch or given.width % patch:
        raise ArchitectureError(
            f"attention over patches of {patch}x{patch} got {given}. Allowed: maps whose height and width are "
            f"multiples of {patch}"
        )


def _softmaxed(
    scores: int, key_dim: int, value_dim: int, compared: int, value: int, out: int, params: int
) -> list[AttentionStep]:
    """The three passes of softmax attention, whose scores reach memory."""
    return [
        AttentionStep("scores", "attention", scores * key_dim, params, compared, scores),
        AttentionStep("softmax", "softmax", 0, 0, scores, scores),
        AttentionStep("values", "attention", scores * value_dim, 0, scores + value, out),
    ]
