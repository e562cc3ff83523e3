"""A run as people watch it: lines that stay, and one progress bar per phase on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ridgepoint.cli.output import console
from ridgepoint.errors import printable


class Live:
    """A `Display` on stderr: live bars on a terminal, a plain line now and then in a pipe or a log."""

    EVERY_S = 15.0

    def __init__(self) -> None:
        self.console = console(json_output=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._spoken_at = 0.0
        self._title = ""

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text)

    def warn(self, text: str) -> None:
        """A line that stays, marked."""
        self.console.print(f"warning: {text}", style="yellow")

    def progress(self, share: float, text: str) -> None:
        """Move the bar; without a terminal, a line every 15 seconds."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=share, note=printable(text))
        if not self.console.is_terminal and time.monotonic() - self._spoken_at > self.EVERY_S:
            self._spoken_at = time.monotonic()
            self.console.print(f"  {self._title} {share:4.0%}  {text}")

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """A heading and, on a terminal, a bar with elapsed and remaining time."""
        self._title = title
        self.console.print(f"\n{title}", style="bold")
        self._spoken_at = time.monotonic()
        started = time.monotonic()
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            self._bar, self._task = bar, bar.add_task(title, total=1.0, note="")
            try:
                yield
            finally:
                self._bar = self._task = None
        self.console.print(f"  {title.lower()}: {time.monotonic() - started:.0f} s", style="dim")
