"""Messages over a byte stream: a line of JSON that says how many bytes follow, and those bytes.

Both sides have this file; the agent's side needs Python 3.9 and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

MAGIC = b"\nridgepoint agent 1\n"
LARGEST_HEADER = 8 << 20
LARGEST_PAYLOAD = 4 << 30
CHUNK = 1 << 20


class Stream:
    """The two ends of a connection, as open files of the system."""

    def __init__(self, receiving: int, sending: int):
        self.receiving, self.sending = receiving, sending
        self._kept = bytearray()

    def send(self, header: dict[str, Any], payload: Iterable[bytes] = (), *, size: int = 0) -> None:
        """Write a message.

        Raises:
            OSError: If nobody is there to read it.
        """
        self._write(json.dumps({**header, "size": size}).encode() + b"\n")
        for chunk in payload:
            self._write(chunk)

    def header(self) -> dict[str, Any] | None:
        """The next message's header; None at the end of the stream. Its `size` bytes must be read next.

        Raises:
            ValueError: If there is something else.
        """
        line = self.line(LARGEST_HEADER)
        if line is None:
            return None
        found = json.loads(line, parse_constant=_no_number)
        if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
            raise ValueError("no message")
        size = found.get("size")
        if type(size) is not int or not 0 <= size <= LARGEST_PAYLOAD:
            raise ValueError("no size")
        return found

    def line(self, most: int) -> bytes | None:
        """What comes until the next line's end; None at the end of the stream.

        Raises:
            ValueError: If the line is longer than that.
        """
        looked = 0
        while (end := self._kept.find(b"\n", looked)) < 0:
            looked = len(self._kept)
            if looked > most:
                raise ValueError("no end of a line")
            if not self._more():
                return None
        line = bytes(self._kept[:end])
        del self._kept[: end + 1]
        return line

    def chunks(self, size: int) -> Iterable[bytes]:
        """The next so many bytes, in parts.

        Raises:
            EOFError: If the stream ends before.
        """
        while size > 0:
            if not self._kept and not self._more():
                raise EOFError
            chunk = bytes(self._kept[:size])
            del self._kept[:size]
            size -= len(chunk)
            yield chunk

    def payload(self, size: int) -> bytes:
        """The next so many bytes.

        Raises:
            EOFError: If the stream ends before.
        """
        return b"".join(self.chunks(size))

    def wait(self) -> None:
        """Called before the system is asked for more; a side with a limit on its patience waits here."""

    def _more(self) -> bool:
        self.wait()
        found = os.read(self.receiving, CHUNK)
        self._kept += found
        return bool(found)

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self.sending, left) :]


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def in_chunks(content: bytes) -> Iterable[bytes]:
    """A payload in parts."""
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]
