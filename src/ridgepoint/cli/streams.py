"""stdout and stderr that outlive their reader and can write every name."""

import contextlib
import os
import sys
from typing import Any


class Patient:
    """A text stream whose reader may leave early, as in `ridgepoint models | head -1`: what follows is dropped."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop if nobody reads any more."""
        try:
            return int(self._stream.write(text))
        except BrokenPipeError:
            discard(self._stream)
            return len(text)

    def flush(self) -> None:
        """Hand on what was written, or drop it."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            discard(self._stream)


def be_patient() -> None:
    """Make stdout and stderr `Patient`; letters that their encoding lacks are written as escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with contextlib.suppress(AttributeError, ValueError):  # a stream that a caller put in the place
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Patient(stream))


def discard(stream: Any) -> None:
    """Let a stream write to nowhere: what it still holds must not fail again when the process ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
