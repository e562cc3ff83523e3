"""What a task leaves no choice about: how many numbers a network gives, and by which head."""

from itertools import accumulate
from operator import mul
from typing import Any

import msgspec

from ridgepoint.arch.choice import Choice, closings
from ridgepoint.arch.document import convert
from ridgepoint.arch.heads import HEADS, Head
from ridgepoint.arch.heads.base import Answer, HeadBase
from ridgepoint.arch.network import Network, placed_parts
from ridgepoint.arch.space import Space
from ridgepoint.errors import ArchitectureError

CHOICE = "task_head"
"""What a search space calls the choice between heads of a task."""


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The end of every network of a task.

    Attributes:
        num_classes: What the head is made for, by default one number a class.
        head: The task's own; None keeps each network's.
        answers: What a head that is kept has to give.
        others: Further heads of the task, which a search space leaves open beside `head`.
        keep: Whether a network, or a space, whose head gives that already keeps it, unless it was chosen for other
            images, and only others get the task's own.
    """

    num_classes: int
    head: Head | None = None
    answers: Answer = "classes"
    others: tuple[Head, ...] = ()
    keep: bool = False

    def close(self, network: Network) -> Network:
        """A network with this end.

        Raises:
            ArchitectureError: If it keeps its head, which gives something else, or lacks a map that the task's takes.
        """
        closed = network.with_classes(self.num_classes)
        if self.head is not None:
            kept = self.keeps(network.head)
            head = network.head.to_learn() if kept else self.head
            if not kept:
                _check_maps(network, head, self.answers)
            return closed if head is network.head else msgspec.structs.replace(closed, head=head)
        check_answers(network.head, self.answers, network.name)
        return closed

    def fits(self, network: Network) -> bool:
        """Whether a network can have this end: it gives what is wanted, or has the maps that the task's head takes."""
        try:
            placed_parts(self.close(network))
        except ArchitectureError:
            return False
        return True

    def close_space(self, space: Space, **values: Any) -> Space:
        """A search space with this end, and other top-level keys replaced.

        Raises:
            ArchitectureError: If it keeps a head, which gives something else.
        """
        if self.head is None or self.keep:
            raw = [head for head, _ in closings(space.template.get("head", {"head": "pooled"}), {})]
            heads: list[HeadBase] = [convert(head, Head, where="head", source=space.name) for head in raw]
            if self.head is None:
                for head in heads:
                    check_answers(head, self.answers, space.name)
            elif all(map(self.keeps, heads)):
                return space.closed(**values, num_classes=self.num_classes)
        return space.closed(**values, **self.keys())

    def keeps(self, head: HeadBase) -> bool:
        """Whether a head stays, for it gives what the task wants and was not chosen for other images."""
        return self.keep and head.answers == self.answers and not head.of_data

    def keys(self) -> dict[str, Any]:
        """The same for a search space, as `Space.closed` takes it."""
        if self.head is None:
            return {"num_classes": self.num_classes}
        heads = tuple(msgspec.to_builtins(head) for head in (self.head, *self.others))
        return {"num_classes": self.num_classes, "head": Choice(CHOICE, heads) if self.others else heads[0]}


def check_answers(head: HeadBase, wanted: Answer, name: str) -> None:
    """Make sure that a head gives what is wanted.

    Raises:
        ArchitectureError: If it gives something else; the message lists heads that do.
    """
    if head.answers != wanted:
        fitting = ", ".join(sorted(tag for tag, kind in HEADS.items() if kind.answers == wanted))
        raise ArchitectureError(
            f"{name}: its head, {head.tag()}, gives {head.answers}; what is wanted here is {wanted}. Allowed: a "
            f"network with one of the heads {fitting}"
        )


def _check_maps(network: Network, head: HeadBase, answers: Answer) -> None:
    """Make sure that a network has the maps that a head takes by their stride.

    Raises:
        ArchitectureError: If it lacks one.
    """
    strides = {1, *accumulate((block.reduction for _, block in network.rows()), mul)}
    lacking = [tap for tap in head.taps if isinstance(tap, int) and tap not in strides]
    if lacking:
        there, wanted = (", ".join(map(str, sorted(each))) for each in (strides - {1}, head.taps))
        raise ArchitectureError(
            f"{network.name}: has maps at strides {there}; what gives {answers}, the head {head.tag()}, takes those at "
            f"{wanted}. Give a network that has them, such as mobilenetv4_conv_small"
        )
