"""A device at the other end of a connection, as a place; its sessions, and its rounds."""

import contextlib
import hashlib
import itertools
import math
import re
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from ridgepoint.cost.host import as_emulated, cpu_name_in
from ridgepoint.deploy.places.connection import ANSWER_S, Connection
from ridgepoint.deploy.places.hello import Count, Hello, Share
from ridgepoint.deploy.places.place import Remote, Turning
from ridgepoint.deploy.places.wire import in_chunks
from ridgepoint.deploy.rounds import State, Taken
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes.onnx_file import read_onnx
from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError, UnreachableError
from ridgepoint.files import read_file

RUNTIMES = ("onnxruntime",)
OLDEST = {"onnxruntime": (1, 16)}  # which reads what ridgepoint writes
OPEN_S, RUN_S, TURN_S = 300.0, 60.0, 90.0  # the longest that opening, an image and one turn may take
T = TypeVar("T", bound=msgspec.Struct)
_FILE = re.compile(r"[A-Za-z0-9_.-]{1,120}", re.ASCII)


class Opened(msgspec.Struct, frozen=True):
    """What a device tells of a file that it has loaded."""

    input_shape: Annotated[list[Count], msgspec.Meta(max_length=8)]
    cores: Annotated[list[Count], msgspec.Meta(max_length=1024)]


Lane = list[tuple[Annotated[int, msgspec.Meta(ge=1, le=10_000_000)], Share]]


class Looked(msgspec.Struct, frozen=True):
    """Turns of references."""

    beside: list[list[Lane]]
    load: Share
    left_s: float


class Took(Looked, frozen=True, kw_only=True):
    """Rounds of all."""

    turns: list[Lane]
    state: State


class Device(Remote):
    """A device that an agent runs on.

    Args:
        connection: To the agent.
        name: What `--device` takes.
    """

    def __init__(self, connection: Connection, name: str):
        self.connection, self.name, self.lock = connection, name, threading.RLock()
        self.hello = _read(connection, connection.ask({"kind": "hello"})[0], Hello)
        name, machine = cpu_name_in(self.hello.cpu_info) or self.hello.machine, self.hello.machine
        self.device = as_emulated(name, machine, self.hello.emulated_by)
        self.numbers, self.kept, self.closed = itertools.count(), set[str](), list[int]()

    def open(self, path: Path, *, runtime: str, threads: int = 1, pinned: bool = True) -> "DeviceSession":
        """See `Place`."""
        self.version(runtime)
        return DeviceSession(self, path, runtime=runtime, threads=threads, pinned=pinned)

    def version(self, runtime: str) -> str:
        """The runtime's version there.

        Raises:
            InputError: If it cannot be used there, with what to type.
        """
        if runtime not in RUNTIMES:
            raise InputError(
                f"--runtime is {runtime}, but {self.name} is a device. Allowed there: {', '.join(RUNTIMES)}"
            )
        found, pip = self.hello.runtimes.get(runtime), f"On it: {self.hello.executable} -m pip install -U {runtime}"
        if found is None:
            raise InputError(f"{self.name}: its Python {self.hello.python} has no {runtime}. {pip}")
        numbers = [int(part) for part in found.split(".")[:2] if part.isdecimal()]
        if tuple(numbers) < OLDEST[runtime]:
            least = ".".join(map(str, OLDEST[runtime]))
            raise InputError(f"{self.name}: has {runtime} {found}, and {least} or newer is needed. {pip}")
        return found

    @property
    def lacking(self) -> str:
        """What to do where it has no runtime."""
        return f"none; on it: {self.hello.executable} -m pip install onnxruntime"

    @contextlib.contextmanager
    def rounds_of(
        self,
        sessions: Mapping[Hashable, Session],
        beside: Mapping[int, Sequence[Session]],
        *,
        warmup: int,
        patience_s: float,
    ) -> Iterator[Turning]:
        """See `Remote`."""
        rounds = DeviceRounds(self, sessions, beside, patience_s)
        rounds.begin(warmup)
        try:
            yield rounds
        finally:
            with contextlib.suppress(UnreachableError, InputError):  # which have been told
                self.ask({"kind": "end"})

    def ask(self, header: dict[str, Any], payload: bytes = b"", *, limit_s: float = ANSWER_S) -> tuple[Any, bytes]:
        """Ask the agent; sessions that nobody has any more are closed before."""
        with self.lock:
            if self.closed:
                ids = [self.closed.pop() for _ in range(len(self.closed))]
                self.connection.ask({"kind": "close", "ids": ids})
            return self.connection.ask(header, payload, limit_s=limit_s)

    def put(self, path: Path, runtime: str) -> tuple[str, str]:
        """Send the files of an artefact, unless they are there; the artefact's name there, and its file's."""
        loading = find_runtime(runtime)
        artefact, main = loading.digest(path)[:32], f"model{loading.suffix}"
        if artefact not in self.kept:
            for file in loading.files(path):
                content = read_file(file, limit_bytes=LARGEST_BYTES)
                name = main if file == path else file.name
                if not _FILE.fullmatch(name):
                    raise InputError(f"{file}: has a name that is sent to no device. Give it one of letters and digits")
                about = {"artefact": artefact, "name": name, "sha256": hashlib.sha256(content).hexdigest()}
                with self.lock:
                    self.connection.send({"kind": "put", **about}, in_chunks(content), size=len(content))
                    self.connection.answer(ANSWER_S + len(content) / 50_000)
            self.kept.add(artefact)
        return artefact, main

    def close(self) -> None:
        """End the agent."""
        self.connection.close()


class DeviceSession(Session):
    """An artefact that a device has loaded."""

    def __init__(self, device: Device, path: Path, *, runtime: str, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        self.runtime, self.version, self.place = runtime, device.version(runtime), device
        file = read_onnx(path)  # what could do harm is refused here
        if file.loops:
            raise InputError(f"{path}: has loops, which may never end on a device. Give a file without loops")
        self.precision = "int8" if file.quantised else "float32"
        self.number, self._device = next(device.numbers), device
        opened = self._open(device, pinned)
        self.input_shape, self.cores = tuple(opened.input_shape), tuple(opened.cores)
        weakref.finalize(self, device.closed.append, self.number)

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """See `Session`."""
        content = np.ascontiguousarray(x_BCHW, np.float32).tobytes()
        header = {"kind": "run", "id": self.number, "shape": list(x_BCHW.shape)}
        told, found = self._device.ask(header, content, limit_s=RUN_S * max(len(x_BCHW), 1))
        try:
            shape = tuple(map(int, told["shape"]))
            return np.frombuffer(found, np.float32).reshape(shape)
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{self._device.name}: answers with a tensor that is none") from None

    def turn(self, x_BCHW: np.ndarray, *, seconds: float, cores: Sequence[int], lost_s: Callable[[], float]) -> Turn:
        """See `Session`; its turns are taken there, by `Device.rounds_of`.

        Raises:
            NotImplementedError: Always: from here, the clock would show the connection.
        """
        raise NotImplementedError("a device's session takes its turns there: Device.rounds_of")

    def _open(self, device: Device, pinned: bool) -> Opened:
        for _ in range(2):  # what was sent long ago may have made room for others
            artefact, name = device.put(self.path, self.runtime)
            header = {"kind": "open", "id": self.number, "artefact": artefact, "name": name, "runtime": self.runtime}
            told, _ = device.ask({**header, "threads": self.threads, "pinned": pinned}, limit_s=OPEN_S)
            if told["kind"] != "absent":
                break
            device.kept.discard(artefact)
        return _read(device.connection, told, Opened)


class DeviceRounds:
    """Rounds that a device takes; a `Turning`."""

    def __init__(
        self,
        device: Device,
        sessions: Mapping[Hashable, Session],
        beside: Mapping[int, Sequence[Session]],
        patience_s: float,
    ):
        self._device, self.left_s = device, patience_s
        self._names, self._keys = list(sessions), list(beside)
        self._sessions = [_number(session) for session in sessions.values()]
        self._beside = [[_number(session) for session in group] for group in beside.values()]

    def begin(self, warmup: int) -> None:
        """Warm up."""
        asked = {"kind": "begin", "sessions": self._sessions, "beside": self._beside, "warmup": warmup}
        self._device.ask({**asked, "left_s": self.left_s}, limit_s=ANSWER_S + RUN_S * len(self._sessions))

    def look(self, key: int, turns: int) -> tuple[list[list[Turn]], float]:
        """See `Turning`."""
        asked = {"kind": "look", "group": self._keys.index(key), "turns": turns, "left_s": self.left_s}
        told, content = self._device.ask(asked, limit_s=ANSWER_S + max(self.left_s, 0.0))
        found = _read(self._device.connection, told, Looked)
        self.left_s = found.left_s
        return next(_unpacked(found.beside, content, self._device.name)), found.load

    def take(self, rounds: int, round_s: float, told: Callable[[int, int], None] | None = None) -> Taken:
        """See `Turning`."""
        connection, limit_s = self._device.connection, TURN_S * len(self._sessions) + max(self.left_s, 0.0)
        asked = {"kind": "take", "rounds": rounds, "round_s": round_s, "left_s": self.left_s}
        with self._device.lock:
            reply, content = self._device.ask(asked, limit_s=limit_s)
            for done in range(rounds):
                if reply["kind"] != "round":
                    break
                if told:
                    told(done + 1, rounds)
                reply, content = connection.answer(limit_s)
        found = _read(connection, reply, Took)
        self.left_s = found.left_s
        lanes, *groups = _unpacked([found.turns, *found.beside], content, self._device.name)
        if len(lanes) != len(self._names) or len(groups) != len(self._keys):
            raise InputError(f"{self._device.name}: answers with other turns than were asked for")
        return Taken(
            turns=dict(zip(self._names, lanes, strict=True)),
            beside=dict(zip(self._keys, groups, strict=True)),
            load=found.load,
            state=found.state,
        )


def _number(session: Session) -> int:
    assert isinstance(session, DeviceSession)
    return session.number


def _unpacked(groups: Sequence[Sequence[Lane]], content: bytes, name: str) -> Iterator[list[list[Turn]]]:
    """The turns of every lane in every group.

    Raises:
        InputError: If there are other times than were told, or one is no time.
    """
    try:
        ms = np.frombuffer(content, "<f8")
    except ValueError:
        ms = np.zeros(0)
    counts = [runs for group in groups for lane in group for runs, _ in lane]
    if sum(counts) != len(ms) or not (np.isfinite(ms) & (ms > 0)).all():
        raise InputError(f"{name}: answers with times that are none")
    at = 0
    for group in groups:
        lanes = []
        for lane in group:
            turns = []
            for runs, lost in lane:
                turns.append(Turn(ms[at : at + runs].tolist(), lost))
                at += runs
            lanes.append(turns)
        yield lanes


def _read(connection: Connection, header: dict[str, Any], kind: type[T]) -> T:
    """An answer as what was asked for.

    Raises:
        InputError: If it is something else.
    """
    try:
        found = msgspec.convert({key: each for key, each in header.items() if key not in ("kind", "size")}, kind)
        if any(isinstance(each, float) and not math.isfinite(each) for each in msgspec.structs.astuple(found)):
            raise msgspec.ValidationError("a number that is none")
    except msgspec.ValidationError as error:
        raise InputError(f"{connection.name}: answers with what was not asked for ({error})") from None
    return found
