"""A training that can be killed: whole steps up to a bound, a checkpoint every few seconds, and the way back to it.

What a step does follows from its number and the state, so a training goes on from its checkpoint as if it had not
stopped.
"""

import contextlib
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ridgepoint.files import make_folder
from ridgepoint.train.checkpoint import Course, restoring, save_checkpoint
from ridgepoint.train.metrics import Row
from ridgepoint.train.processes import processes

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY_S = 15.0
C = TypeVar("C", bound=Course)


class Resumable(ABC, Generic[C]):
    """A training under way. What derives from it says how far it is, what a step does, and what it must remember.

    Attributes:
        kind: What a checkpoint says, beside its tensors.
        what: What it is a checkpoint of, for messages.
        anew: What deleting it leads to, for messages.
        folder: Where the checkpoint goes; None keeps nothing.
        step: How many steps are done.
        rows: Of the metrics.
    """

    kind: type[C]
    what: ClassVar[str]
    anew: ClassVar[str]

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.processes = processes()
        self.step, self.rows = 0, list[Row]()
        self._before_s = 0.0
        self._started_at = self._saved_at = time.monotonic()

    @abstractmethod
    def progress(self) -> float:
        """The share of the training that is done, 0 to 1, the same in all processes."""

    @abstractmethod
    def one_step(self, progress: float) -> None:
        """Learn, and count the step."""

    @abstractmethod
    def latest(self) -> Row:
        """What is told after a step."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside step, time and rows."""

    @abstractmethod
    def load(self, state: dict[str, Any], course: C) -> None:
        """Go on from a state; whatever this raises means that it is another training's."""

    @abstractmethod
    def write_rows(self, folder: Path) -> None:
        """Write the metrics beside the checkpoint."""

    def begin(self) -> AbstractContextManager[object]:
        """Called before the first step of this sitting, when Ctrl-C waits already; left after the last one."""
        return contextlib.nullcontext()

    def after_step(self, progress: float) -> bool:
        """Called after a step; whether it is worth a checkpoint."""
        return False

    def finish(self) -> None:
        """Called when all is done."""
        self.save()

    def run(self, on_step: Callable[[float, Row], None] | None = None) -> None:
        """Train to the end; if the folder holds a checkpoint, go on from it.

        Args:
            on_step: Called after every step with the share done and what is told of it.

        Raises:
            RunError: If the checkpoint cannot be read, or is another training's.
            KeyboardInterrupt: After Ctrl-C, when the step under way is whole and saved.
        """
        self._restore()
        self._started_at = time.monotonic()
        with _whole_steps() as asked_to_stop, self.begin():
            while (progress := self.progress()) < 1.0:
                self.one_step(progress)
                progress = self.progress()
                due = self.after_step(progress)
                stop = self.processes.any(asked_to_stop())
                if due or stop or time.monotonic() - self._saved_at > SAVE_EVERY_S:
                    self.save()
                if on_step:
                    on_step(progress, self.latest())
                if stop:
                    raise KeyboardInterrupt
        self.finish()

    def elapsed(self) -> float:
        """Seconds of all sittings."""
        return self._before_s + time.monotonic() - self._started_at

    def save(self) -> None:
        """Write the checkpoint; of several processes, the first one does."""
        self._saved_at = time.monotonic()
        if self.folder is None or not self.processes.first:
            return
        make_folder(self.folder)
        state = {"step": self.step, "elapsed_s": self.elapsed(), "rows": self.rows, **self.state()}
        save_checkpoint(self.folder / CHECKPOINT, state)
        self.write_rows(self.folder)

    def _restore(self) -> None:
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return
        with restoring(self.folder / CHECKPOINT, self.kind, what=self.what, anew=self.anew) as (state, course):
            self.step, self._before_s, self.rows = course.step, course.elapsed_s, state["rows"]
            self.load(state, course)


@contextlib.contextmanager
def _whole_steps() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the end of a step, and is then told: a step that is half made must not be saved."""
    asked: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or somebody else's
        yield lambda: False
        return
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    except ValueError:  # only the main thread hears signals
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt
