"""What long work tells whoever watches; the silent one is the default, the command line brings a live one."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Display(Protocol):
    """Somebody who watches a run."""

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def warn(self, text: str) -> None:
        """A line that stays and asks for attention."""
        ...

    def progress(self, share: float, text: str) -> None:
        """How much of the current phase is done, 0 to 1, and what is going on."""
        ...

    def phase(self, title: str) -> AbstractContextManager[object]:
        """A named part of the run, entered and left."""
        ...


class Silent:
    """Tells nobody."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    def progress(self, share: float, text: str) -> None:
        """Nothing."""

    def phase(self, title: str) -> AbstractContextManager[object]:
        """Nothing."""
        return nullcontext()
