"""A connection to an agent: a program whose streams lead there, and what it means when that program fails."""

import contextlib
import os
import select
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ridgepoint.deploy.places.bundle import bundle
from ridgepoint.deploy.places.wire import MAGIC, Stream, in_chunks
from ridgepoint.errors import InputError, RidgepointError, UnreachableError, printable
from ridgepoint.system import in_forked_children

CONNECT_S, ANSWER_S, END_S = 60.0, 120.0, 3.0
LAST_WORDS_S = 1.0  # for a program that fails to say why, and end by itself
MOST_BEFORE, MOST_SAID = 64 << 10, 4000  # bytes that a login may print, and of what ssh says
LARGEST_ANSWER = 256 << 20
Header = dict[str, Any]
Failure = Callable[[str, int | None], RidgepointError]
_open: "weakref.WeakSet[Connection]" = weakref.WeakSet()


class _Limited(Stream):
    """A stream that is not waited for longer than its limit."""

    until = 0.0

    def wait(self) -> None:
        """See `Stream`."""
        left = self.until - time.monotonic()
        if left <= 0 or not select.select([self.receiving], [], [], left)[0]:
            raise TimeoutError


class Connection:
    """An agent at the other end of a program's streams.

    Args:
        command: The program and its words.
        name: The device, for messages.
        failed: From what the program wrote and its exit code to the error of a connection that never came about.
        first: What is sent before the first message; the agent, unless the program brings it.

    Raises:
        InputError: If there is no agent at the end of it.
    """

    def __init__(self, command: Sequence[str], name: str, failed: Failure, *, first: bytes | None = None):
        self.name, self.said, self._broken = name, bytearray(), ""
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us, who then let go of it
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        _open.add(self)
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._listener = threading.Thread(target=_listen, args=(self._process, self.said), daemon=True)
        self._listener.start()
        self._stream = _Limited(self._process.stdout.fileno(), self._process.stdin.fileno())
        try:
            self._stream.until = time.monotonic() + CONNECT_S
            self._begin(bundle() if first is None else first)
        except (OSError, ValueError, EOFError):
            code = self._ended()
            raise failed(self.told, code) from None

    @property
    def broken(self) -> bool:
        """Whether nobody answers any more."""
        return bool(self._broken)

    @property
    def told(self) -> str:
        """What the program wrote beside, its last lines."""
        text = printable(self.said.decode(errors="replace")).strip()
        return " ".join(text.splitlines()[-4:])

    def ask(self, header: Header, payload: bytes = b"", *, limit_s: float = ANSWER_S) -> tuple[Header, bytes]:
        """Send a request and wait for its answer.

        Raises:
            UnreachableError: If the connection is broken, or the answer does not come in time.
            InputError: If the agent refuses.
        """
        self.send(header, in_chunks(payload), size=len(payload))
        return self.answer(limit_s)

    def send(self, header: Header, payload: Iterable[bytes] = (), *, size: int = 0) -> None:
        """Send a request.

        Raises:
            UnreachableError: If the connection is broken.
        """
        if self._broken:
            raise self._error(self._broken)
        try:
            self._stream.send(header, payload, size=size)
        except OSError:
            raise self.broke("the connection broke") from None

    def answer(self, limit_s: float) -> tuple[Header, bytes]:
        """The next answer; see `ask`."""
        self._stream.until = time.monotonic() + limit_s
        try:
            header = self._stream.header()
            if header is None or header["size"] > LARGEST_ANSWER:
                raise EOFError
            content = self._stream.payload(header["size"])
        except TimeoutError:
            raise self.broke(f"it did not answer within {limit_s:g} s") from None
        except (OSError, EOFError):
            raise self.broke("the connection broke") from None
        except (ValueError, RecursionError):
            raise self.broke("it answered with what is no message") from None
        except BaseException:  # whoever stopped us does not wait for the answer, which must not be taken for another
            self.close()
            raise
        if header["kind"] == "refused":
            raise InputError(f"{self.name}: {header.get('message')}")
        if header["kind"] == "ended":
            raise InputError(
                f"{self.name}: the runtime ended its process there ({header.get('message')}): the file takes too much "
                "memory, or the runtime was built for another processor. Give a smaller network, or install the "
                "runtime there again"
            )
        return header, content

    def close(self) -> None:
        """Let the agent end, and wait until it has."""
        self._broken = self._broken or "it was closed"
        self._finalizer()

    def let_go(self) -> None:
        """In a forked child: its copies would keep the agent alive after its parent is gone."""
        self._broken = "it belongs to another process"
        self._finalizer.detach()
        for file in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                file.close()  # type: ignore[union-attr]

    def _begin(self, first: bytes) -> None:
        """Send the code, and skip what a login prints before the agent's first line."""
        self._stream._write(first)
        before = 0
        while (line := self._stream.line(MOST_BEFORE)) != MAGIC.strip():
            if line is None or before > MOST_BEFORE:
                raise EOFError
            before += len(line) + 1

    def broke(self, why: str) -> UnreachableError:
        """End the program; the error of a connection that broke."""
        self._ended()
        self._broken = f"{why}{': ' + self.told if self.told else ''}"
        return self._error(self._broken)

    def _error(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"{self.name}: {why}. All that was measured until then is kept. Give the same command again when the "
            "device is there; a run goes on with --resume"
        )

    def _ended(self) -> int | None:
        """End the program; its exit code where it had ended itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=LAST_WORDS_S)
        code = self._process.poll()
        self._finalizer()
        self._listener.join(timeout=LAST_WORDS_S)
        return code


def _listen(process: "subprocess.Popen[bytes]", said: bytearray) -> None:
    """Keep the end of what a program writes beside its answers."""
    assert process.stderr is not None
    with contextlib.suppress(OSError, ValueError):
        while chunk := os.read(process.stderr.fileno(), 4096):
            said += chunk
            del said[:-MOST_SAID]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close the agent's input, at which it ends and cleans up; wait for that, but not for ever."""
    with contextlib.suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    try:
        process.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(OSError):
        process.stdout.close()  # type: ignore[union-attr]


def _let_go_of_all() -> None:
    for connection in list(_open):
        connection.let_go()


in_forked_children(_let_go_of_all)
