"""Axes: channels that a narrower network keeps alike, and which of them. See `ridgepoint.nn.inherit`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ridgepoint.arch import shaping as spec
from ridgepoint.errors import InheritanceError


class Axis:
    """Channels that are kept alike: how many the parent has, how many the child keeps, and what writes and reads them.

    `written` and `read` hold squared norms, one number for each of the parent's channels, of every filter bank. `rule`
    chooses where the norm alone does not.
    """

    def __init__(self, parent: int, child: int, rule: Callable[[], Tensor] | None = None):
        self.parent, self.child, self.rule = parent, child, rule
        self.written: list[Tensor] = []
        self.read: list[Tensor] = []
        self.parts: Sequence[Axis] = ()  # where it is several stacked
        self._same: Axis | None = None
        self._kept: Tensor | None = None

    @property
    def root(self) -> "Axis":
        """The axis that stands for all that are kept alike."""
        return self if self._same is None else self._same.root

    def unite(self, other: "Axis") -> "Axis":
        """Keep both alike."""
        one, two = self.root, other.root
        if one is not two:
            one.written += two.written
            one.read += two.read
            one.rule = one.rule or two.rule
            two._same = one
        return one

    def strength(self) -> Tensor:
        """Squared norm of what writes each channel."""
        return _total(self.root.written, self.parent)

    def use(self) -> Tensor:
        """Squared norm of what reads each channel."""
        return _total(self.root.read, self.parent)

    @property
    def kept(self) -> Tensor:
        """The parent's channels that the child keeps, in order."""
        root = self.root
        if root._kept is None:
            root._kept = strongest(root.strength(), root.child) if root.rule is None else root.rule()
        return root._kept


def strongest(scores: Tensor, count: int) -> Tensor:
    """The indices of the largest scores along the last dimension, in ascending order; earlier ones win ties."""
    return scores.sort(descending=True, stable=True).indices[..., :count].sort().values


def _total(parts: Sequence[Tensor], size: int) -> Tensor:
    return torch.stack(list(parts)).sum(0) if parts else torch.zeros(size)


def stacked(axes: Sequence[Axis]) -> Axis:
    """The channels of several maps, one map's after the other's."""

    def kept() -> Tensor:
        starts = [sum(axis.parent for axis in axes[:number]) for number in range(len(axes))]
        return torch.cat([start + axis.kept for start, axis in zip(starts, axes, strict=True)])

    whole = Axis(sum(axis.parent for axis in axes), sum(axis.child for axis in axes), kept)
    whole.parts = axes
    return whole


def sliced(axis: Axis, theirs: spec.Slice, mine: spec.Slice) -> Axis:
    """Some channels in a row: those of them that are kept of the whole, as far as these are as many as the child's."""

    def kept() -> Tensor:
        found = axis.kept[(axis.kept >= theirs.start) & (axis.kept < theirs.stop)] - theirs.start
        others = [place for place in range(theirs.stop - theirs.start) if place not in set(found.tolist())]
        wanted = mine.stop - mine.start
        return torch.cat([found, torch.tensor(others, dtype=found.dtype)])[:wanted].sort().values

    return Axis(theirs.stop - theirs.start, mine.stop - mine.start, kept)


def shuffled(axis: Axis, groups: int) -> Axis:
    """The same channels in the order of a shuffle."""

    def order(channels: int) -> Tensor:
        return torch.arange(channels).view(groups, -1).T.flatten()

    def kept() -> Tensor:
        return torch.argsort(order(axis.parent))[axis.kept[order(axis.child)]]

    return Axis(axis.parent, axis.child, kept)


def in_groups(axis: Axis, width: int) -> Axis:
    """The same channels, of which groups of so many neighbours are kept whole.

    Raises:
        InheritanceError: When they are asked for, if a group is not.
    """

    def kept() -> Tensor:
        groups = axis.kept.view(-1, width)
        if not torch.equal(groups, groups[:, :1] // width * width + torch.arange(width)):
            raise InheritanceError("a convolution of few groups would keep some channels of a group and not the others")
        return axis.kept

    return Axis(axis.parent, axis.child, kept)


def several(axis: Axis, outputs: int) -> Axis:
    """What a depthwise convolution gives: the channels that it gets, or so many one after the other for each."""
    times = outputs // axis.parent
    if times == 1:
        return axis
    made = torch.arange(times)
    return Axis(outputs, axis.child * times, lambda: (axis.kept[:, None] * times + made).flatten())
