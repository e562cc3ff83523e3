"""Sessions of foreign runtimes as the rest of ridgepoint has them: each file in a process of its own, see `host`."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.disturbance import ELSEWHERE_S
from ridgepoint.deploy.runtimes.host import (
    Answer,
    Clock,
    Clocked,
    Open,
    Opened,
    Refused,
    Reply,
    Request,
    Run,
    packed,
    unpacked,
)
from ridgepoint.deploy.runtimes.host import __name__ as HOST
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError
from ridgepoint.system import kill_process

OPEN_S, RUN_S, START_S = 300.0, 60.0, 120.0  # the longest that opening, running one image and importing may take
LARGEST_REQUEST, LARGEST_REPLY = 16 << 20, 1 << 30  # bytes; class maps are many times as large as their images
T = TypeVar("T", Opened, Answer, Clocked)


class HostedSession(Session):
    """An artefact that a process of its own has loaded."""

    def __init__(self, path: Path, *, threads: int, pinned: bool, runtime: str, version: str):
        super().__init__(path, threads=threads, pinned=pinned)
        self.runtime, self.version = runtime, version
        self.cores = choose_cores(threads) if pinned else ()
        self._host = _host(runtime, os.getpid())  # with which its process would end
        self._connection, self._process = self._host.connect(path)
        opened = self._ask(Open(str(path.absolute()), threads, self.cores), Opened, "opened", OPEN_S)
        self.input_shape, self.precision = opened.input_shape, opened.precision
        self.partitions = opened.partitions

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """See `Session`; as many images at a time as a message may hold."""
        most = max(LARGEST_REQUEST * len(x_BCHW) // max(x_BCHW.nbytes, 1), 1)
        parts = [self._run(x_BCHW[start : start + most]) for start in range(0, max(len(x_BCHW), 1), most)]
        return np.concatenate(parts)

    def _run(self, x_BCHW: np.ndarray) -> np.ndarray:
        answer = self._ask(Run(*packed(x_BCHW)), Answer, "ran", RUN_S * max(len(x_BCHW), 1))
        try:
            return unpacked(answer)
        except ValueError:
            raise InputError(f"{self.path}: {self.runtime} answers with a tensor that is none") from None

    def turn(self, x_BCHW: np.ndarray, *, seconds: float, cores: Sequence[int], lost_s: Callable[[], float]) -> Turn:
        """See `Session`; the process that runs it looks at the clock, and tells what it lost itself."""
        shape, content = packed(x_BCHW)
        clock = Clock(shape, content, seconds=seconds, cores=tuple(cores))
        found = self._ask(clock, Clocked, "was clocked", seconds + 5 * RUN_S)
        ELSEWHERE_S[self._process] = found.cpu_s
        return Turn(found.ms, found.lost)

    def _ask(self, request: Request, kind: type[T], doing: str, limit_s: float) -> T:
        try:
            self._connection.send_bytes(msgspec.msgpack.encode(request))
            if not self._connection.poll(limit_s):
                kill_process(self._process)
                raise InputError(f"{self.path}: {self.runtime} was stopped: it took more than {limit_s:g} s")
            reply: Reply = msgspec.msgpack.decode(self._connection.recv_bytes(LARGEST_REPLY), type=Reply)
        except (OSError, EOFError):  # the process is gone
            raise InputError(
                f"{self.path}: {self.runtime} ended its process while the file {doing}: the file is damaged, takes too "
                "much memory, or is more than this runtime can do. Export it again, or give another --runtime"
            ) from None
        except msgspec.MsgspecError:
            raise InputError(f"{self.path}: {self.runtime} answers with what is no answer") from None
        if isinstance(reply, Refused):
            raise InputError(reply.message)
        if not isinstance(reply, kind):
            raise InputError(f"{self.path}: {self.runtime} answers with what was not asked for")
        return reply


class _Host:
    """The process that has a runtime imported and makes others of itself."""

    def __init__(self, runtime: str):
        self.runtime, self._lock = runtime, threading.Lock()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(START_S)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", HOST, runtime, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who then let go of it
        )
        theirs.close()
        weakref.finalize(self, _end, self._control, self._process)

    def connect(self, path: Path) -> tuple[Connection, int]:
        """A new process for a file: the connection to it, and its number.

        Raises:
            InputError: If the runtime cannot be imported.
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            try:
                socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
                told = self._control.recv(8, socket.MSG_WAITALL)
            except OSError:
                told = b""
        if len(told) < 8:
            ours.close()
            _host.cache_clear()
            raise InputError(
                f"{path}: runtime '{self.runtime}' cannot be imported in a process of its own. Try: {sys.executable} "
                f"-m {HOST} {self.runtime} 0"
            )
        return Connection(ours.detach()), int.from_bytes(told, "little")


@lru_cache(maxsize=16)
def _host(runtime: str, process: int) -> _Host:
    """One for each runtime; a copy of our process has its own."""
    return _Host(runtime)


def _end(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
