"""What a place is to all else: it opens artefacts, has them take turns on the clock, and says what it is."""

from __future__ import annotations

import abc
import contextlib
import platform
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ridgepoint.cost.host import cpu_name, most_macs_per_s, most_macs_per_s_in, overflows_in
from ridgepoint.cost.table import Conditions
from ridgepoint.deploy.places.address import expect_answers, read_address
from ridgepoint.deploy.places.hello import Hello
from ridgepoint.deploy.rounds import Taken
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.turn import Turn
from ridgepoint.system import cpu_info

HOST = "host"


class Turning(Protocol):
    """Sessions that take turns; `ridgepoint.deploy.rounds.Rounds` where they run."""

    left_s: float

    def look(self, key: int, turns: int) -> tuple[list[list[Turn]], float]:
        """So many turns of a group of references alone, and how busy others kept the machine."""
        ...

    def take(self, rounds: int, round_s: float, told: Callable[[int, int], None] | None = None) -> Taken:
        """Every lane's turn in every round, and the references' now and then."""
        ...


class Place(abc.ABC):
    """A place.

    Attributes:
        name: What `--device` takes.
        device: Its processor.
        bare: Whether files are only clocked there, by a program that is brought along: they give no answers, no
            references run beside them, and the runtime's library is not needed on this machine.
        caveat: What must be known of all times that are taken there.
    """

    name: str
    device: str
    bare: bool = False
    caveat: str = ""

    @abc.abstractmethod
    def open(self, path: Path, *, runtime: str, threads: int = 1, pinned: bool = True) -> Session:
        """Load an artefact there; as `ridgepoint.deploy.runtimes.open_session`.

        Raises:
            InputError: If it cannot be loaded.
            UnreachableError: If the place cannot be reached any more.
        """

    def expect_answers(self) -> None:
        """Refuse what needs a file's answers, where there are none.

        Raises:
            InputError: If there are none, with what to do instead.
        """
        if self.bare:
            expect_answers(read_address(self.name))

    @abc.abstractmethod
    def conditions(self, runtime: str, threads: int) -> Conditions:
        """Under what is timed there.

        Raises:
            InputError: If nothing can be timed so.
        """

    @abc.abstractmethod
    def most_macs_per_s(self, threads: int) -> float | None:
        """More float32 MACs a second than so many of its cores can do; None where that is not known."""

    @property
    @abc.abstractmethod
    def overflows(self) -> bool:
        """Whether sums of 8-bit products may overflow there."""

    @abc.abstractmethod
    def peak_memory_bytes(self, path: Path, *, runtime: str, threads: int) -> int | None:
        """By how many bytes a process there grows that loads a file and runs it; None where that is not known."""


class Local(Place):
    """This machine."""

    name = HOST

    @property
    def device(self) -> str:  # type: ignore[override]
        """See `Place`."""
        return cpu_name()

    def open(self, path: Path, *, runtime: str, threads: int = 1, pinned: bool = True) -> Session:
        """See `Place`."""
        return open_session(path, runtime=runtime, threads=threads, pinned=pinned)

    def conditions(self, runtime: str, threads: int) -> Conditions:
        """See `Place`."""
        return find_runtime(runtime).conditions(threads)

    def most_macs_per_s(self, threads: int) -> float | None:
        """See `Place`."""
        return most_macs_per_s(threads)

    @property
    def overflows(self) -> bool:
        """See `Place`."""
        return overflows_in(cpu_info(), platform.machine())

    def peak_memory_bytes(self, path: Path, *, runtime: str, threads: int) -> int | None:
        """See `Place`."""
        from ridgepoint.deploy.memory import peak_memory_bytes

        return peak_memory_bytes(path, runtime=runtime, threads=threads)


class Remote(Place):
    """A place whose sessions take their turns there.

    Attributes:
        hello: What it told of itself.
    """

    hello: Hello

    @abc.abstractmethod
    def version(self, runtime: str) -> str:
        """The runtime's version there.

        Raises:
            InputError: If it cannot be used there, with what to do.
        """

    def conditions(self, runtime: str, threads: int) -> Conditions:
        """See `Place`."""
        return Conditions(
            device=self.device,
            runtime=runtime,
            runtime_version=self.version(runtime),
            threads=threads,
            place=f"device-{self.hello.identity}",
        )

    def most_macs_per_s(self, threads: int) -> float | None:
        """See `Place`."""
        return most_macs_per_s_in(self.hello.cpu_info, threads)

    @property
    def overflows(self) -> bool:
        """See `Place`."""
        return overflows_in(self.hello.cpu_info, self.hello.machine)

    def peak_memory_bytes(self, path: Path, *, runtime: str, threads: int) -> int | None:
        """See `Place`; not known of a device."""
        return None

    @abc.abstractmethod
    def rounds_of(
        self,
        sessions: Mapping[Hashable, Session],
        beside: Mapping[int, Sequence[Session]],
        *,
        warmup: int,
        patience_s: float,
    ) -> contextlib.AbstractContextManager[Turning]:
        """Warm sessions up for rounds; as `ridgepoint.deploy.rounds.rounds_of`."""


LOCAL = Local()
