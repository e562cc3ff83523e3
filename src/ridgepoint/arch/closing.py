"""What a task leaves no choice about: how many numbers a network gives, and by which head."""

from typing import Any

import msgspec

from ridgepoint.arch.head import Head
from ridgepoint.arch.network import Network


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The end of every network of a task.

    Attributes:
        num_classes: What the head is made for, by default one number a class.
        head: The task's own; None keeps each network's.
    """

    num_classes: int
    head: Head | None = None

    def close(self, network: Network) -> Network:
        """A network with this end."""
        closed = network.with_classes(self.num_classes)
        return closed if self.head is None else msgspec.structs.replace(closed, head=self.head)

    def keys(self) -> dict[str, Any]:
        """The same for a search space, as `Space.closed` takes it."""
        head = {} if self.head is None else {"head": msgspec.to_builtins(self.head)}
        return {"num_classes": self.num_classes, **head}
