"""Where files of foreign runtimes are opened and run: a process for each, beside ours.

A file that kills its process, takes all memory or never ends costs its session and nothing else, and whatever it makes
of the process that opened it, ours reads answers of known types from it. One process imports the runtime and is copied
for each file, so that opening one takes milliseconds.
"""

import functools
import os
import socket
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from ridgepoint.deploy.disturbance import Disturbance
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.deploy.runtimes.session import Session, first_line
from ridgepoint.errors import InputError
from ridgepoint.system import end_with_parent, fork_child, limited_growth, pin

LEAST_BYTES, PER_FILE_BYTE = 4 << 30, 16  # of address space, for threads and their allocators too


class Open(msgspec.Struct, tag=True, frozen=True):
    """Load an artefact; `cores` are where its threads may run, anywhere if there are none."""

    path: str
    threads: int
    cores: tuple[int, ...]


class Run(msgspec.Struct, tag=True, frozen=True):
    """Answer an input, float32 of a shape."""

    shape: tuple[int, ...]
    content: bytes


class Clock(Run, frozen=True, kw_only=True):
    """Run an input for some time on the first of the cores."""

    seconds: float
    cores: tuple[int, ...]


class Opened(msgspec.Struct, tag=True, frozen=True):
    """What is known of a loaded artefact, as a session tells it."""

    input_shape: tuple[int, ...]
    precision: str
    partitions: int | None


class Answer(msgspec.Struct, tag=True, frozen=True):
    """What it answers, float32 of a shape."""

    shape: tuple[int, ...]
    content: bytes


class Clocked(msgspec.Struct, tag=True, frozen=True):
    """A turn: milliseconds of its runs, the share lost to others, and how long this process has computed so far."""

    ms: tuple[float, ...]
    lost: float
    cpu_s: float


class Refused(msgspec.Struct, tag=True, frozen=True):
    """Why not."""

    message: str


Request = Open | Run | Clock
Reply = Opened | Answer | Clocked | Refused


def packed(x: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    """An array as a message has it."""
    return x.shape, np.ascontiguousarray(x, np.float32).tobytes()


def unpacked(told: Run | Answer) -> np.ndarray:
    """The array of a message.

    Raises:
        ValueError: If its content is not of its shape.
    """
    return np.frombuffer(told.content, np.float32).reshape(told.shape)


class Server:
    """One artefact in this process, for as long as the other side asks."""

    def __init__(self, runtime: Runtime):
        self.runtime, self.path = runtime, Path()
        self.session: Session | None = None

    def serve(self, connection: Connection) -> None:
        """Answer until the other side is gone."""
        while True:
            try:
                request: Request = msgspec.msgpack.decode(connection.recv_bytes(), type=Request)
            except EOFError:
                return
            connection.send_bytes(msgspec.msgpack.encode(self.reply(request)))

    def reply(self, request: Request) -> Reply:
        """What a request gets; all that goes wrong is told."""
        try:
            if isinstance(request, Open):
                self.session = self.open(request)
                return Opened(self.session.input_shape, self.session.precision, self.session.partitions)
            assert self.session is not None
            return self.clock(self.session, request) if isinstance(request, Clock) else self.run(self.session, request)
        except InputError as error:
            return Refused(str(error))
        except Exception as error:  # libraries raise what they like
            return Refused(f"{self.path}: {self.runtime.name} fails: {first_line(error)}")

    def open(self, request: Open) -> Session:
        """The session, which this process's memory is bounded for."""
        self.path = path = Path(request.path)
        if request.cores:
            pin(request.cores)  # the runtime's threads will have what this one has
        self.bound = limited_growth(LEAST_BYTES + PER_FILE_BYTE * self.runtime.size_bytes(path))
        self.bound.__enter__()
        return self.runtime.session_class()(path, threads=request.threads, pinned=False)

    def run(self, session: Session, request: Run) -> Answer:
        """Whatever the input is, the answer is float32."""
        return Answer(*packed(session.run(unpacked(request))))

    def clock(self, session: Session, request: Clock) -> Clocked:
        """A turn as any session takes it."""
        with Disturbance() as disturbance:
            turn = session.turn(
                unpacked(request),
                seconds=request.seconds,
                cores=request.cores,
                lost_s=lambda: disturbance.lost_s(request.cores),
            )
        return Clocked(tuple(turn.ms), turn.lost, time.process_time())


def main(name: str, control: socket.socket) -> None:
    """Make a server for every socket that comes in, and tell its process, until the other side is gone."""
    runtime = find_runtime(name)
    runtime.session_class()
    while True:
        message, files, *_ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        process = fork_child(functools.partial(_serve, runtime, control, files[0]))
        os.close(files[0])
        control.sendall(process.to_bytes(8, "little"))


def _serve(runtime: Runtime, control: socket.socket, file: int) -> None:
    control.close()
    end_with_parent()
    Server(runtime).serve(Connection(file))


if __name__ == "__main__":
    main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
