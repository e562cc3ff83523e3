"""Sessions of one process that take turns, beside reference networks; see `ridgepoint.deploy.measure`.

This is what runs where the files run: here, or on a device that an agent was sent to. It needs Python's own library and
numpy; what its turns mean is found out elsewhere.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ridgepoint.deploy.cores import choose_cores, on_core
from ridgepoint.deploy.disturbance import Disturbance
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError
from ridgepoint.system import emulated_by, frequency_mhz, governor, heat

REFERENCE_EVERY_S, REFERENCE_S = 0.15, 0.005
PAUSE_S = 0.05  # before a turn that did not count is taken again
COOL_S = 0.5  # before a machine that is too hot is looked at again
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class State:
    """Of a machine while it clocked, as far as its system tells; `hot` is the share of rounds in which it throttled.

    `frequency_mhz` and `governor` are of the core that the caller's thread was on; `emulated_by` is the kind of
    processor that computes in place of the one that programs see.
    """

    temperature_c: float | None = None
    frequency_mhz: float | None = None
    governor: str | None = None
    hot: float = 0.0
    emulated_by: str | None = None


@dataclass(frozen=True)
class Taken:
    """The turns of every session and of the references in their groups; how busy others kept the machine."""

    turns: Mapping[Hashable, Sequence[Turn]]
    beside: Mapping[Hashable, Sequence[Sequence[Turn]]]
    load: float
    state: State


@contextlib.contextmanager
def rounds_of(
    sessions: Mapping[Hashable, Session],
    beside: Mapping[Hashable, Sequence[Session]],
    *,
    warmup: int,
    patience_s: float,
) -> Iterator[Rounds]:
    """Warm sessions up for rounds.

    Args:
        sessions: By any names.
        beside: Groups of references.
        warmup: Runs of each before the first round.
        patience_s: Seconds, at most, for turns that do not count.
    """
    lanes = {name: _Lane(session) for name, session in sessions.items()}
    groups = {key: [_Lane(session) for session in group] for key, group in beside.items()}
    for lane in [*lanes.values(), *(lane for group in groups.values() for lane in group)]:
        lane.warm_up(warmup)
    with Disturbance() as disturbance, _no_collection():
        yield Rounds(lanes, groups, disturbance, patience_s)


class Rounds:
    """Lanes that take turns; `rounds_of` makes it."""

    def __init__(
        self,
        lanes: Mapping[Hashable, _Lane],
        beside: Mapping[Hashable, Sequence[_Lane]],
        disturbance: Disturbance,
        patience_s: float,
    ):
        self._lanes, self._beside, self._disturbance = lanes, beside, disturbance
        self._umpire = _Umpire(disturbance, patience_s)

    @property
    def left_s(self) -> float:
        """How much patience is left."""
        return self._umpire.left_s

    @left_s.setter
    def left_s(self, seconds: float) -> None:
        self._umpire.left_s = seconds

    def look(self, key: Hashable, turns: int) -> tuple[list[list[Turn]], float]:
        """So many turns of a group of references alone, and how busy others kept the machine."""
        self._disturbance.look()
        group = self._beside[key]
        for lane in group:
            lane.turns = []
        for _ in range(turns):
            for lane in group:
                lane.take_turn(REFERENCE_S, self._umpire)
        return [lane.turns for lane in group], self._disturbance.load()

    def take(self, rounds: int, round_s: float, told: Told | None = None) -> Taken:
        """Every lane's turn in every round, and the references' now and then."""
        everyone = [*self._lanes.values(), *(lane for group in self._beside.values() for lane in group)]
        for lane in everyone:
            lane.turns = []
        self._disturbance.look()
        told_at, hot = -math.inf, 0
        for done in range(rounds):
            hot += self._too_hot()
            for lane in self._lanes.values():
                if time.perf_counter() - told_at > REFERENCE_EVERY_S:
                    for group in self._beside.values():
                        for each in group:
                            each.take_turn(REFERENCE_S, self._umpire)
                    told_at = time.perf_counter()
                lane.take_turn(round_s, self._umpire)
            if told:
                told(done + 1, rounds)
        return Taken(
            turns={name: lane.turns for name, lane in self._lanes.items()},
            beside={key: [lane.turns for lane in group] for key, group in self._beside.items()},
            load=self._disturbance.load(),
            state=self._state(hot / rounds),
        )

    def _too_hot(self) -> bool:
        """Whether the machine slows itself down for its heat, after as much of a rest as there is patience for."""
        while heat()[1]:
            if not self._umpire.patient:
                return True
            time.sleep(COOL_S)
            self._umpire.left_s -= COOL_S
        return False

    def _state(self, hot: float) -> State:
        cores = next((lane.session.cores for lane in self._lanes.values() if lane.session.cores), ())
        if not cores:
            return State(temperature_c=heat()[0], hot=hot, emulated_by=emulated_by())
        return State(heat()[0], frequency_mhz(cores[0]), governor(cores[0]), hot, emulated_by())


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected while something is timed."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Umpire:
    """Decides whether a turn counts, and for how long one that does not is taken again.

    Single threads go where it says: to the idlest core once others have come to the one they had.
    """

    def __init__(self, disturbance: Disturbance, patience_s: float):
        self._disturbance, self.left_s = disturbance, patience_s
        self._single: tuple[int, ...] | None = None

    def cores(self, session: Session) -> tuple[int, ...]:
        """Where a session's turn takes place."""
        return self._single if self._single and len(session.cores) == 1 else session.cores

    @property
    def patient(self) -> bool:
        """Whether there is time left for what is to be taken again."""
        return self.left_s > 0

    def turn(self, session: Session, image: np.ndarray, seconds: float) -> Turn:
        """A session's turn in its place."""
        cores = self.cores(session)
        return session.turn(image, seconds=seconds, cores=cores, lost_s=lambda: self._disturbance.lost_s(cores))

    def take_again(self, turn: Turn, seconds: float) -> bool:
        """Whether a turn that lasted so long does not count and there is patience for another one."""
        if turn.undisturbed or not self.patient:
            return False
        began = time.perf_counter()
        time.sleep(PAUSE_S)
        self._single = choose_cores(1, anew=True)
        self.left_s -= seconds + time.perf_counter() - began
        return True


class _Lane:
    """A session with its image and its turns."""

    def __init__(self, session: Session):
        self.session, self.image = session, example_image(session)
        self.turns: list[Turn] = []

    def warm_up(self, runs: int) -> None:
        with on_core(self.session.cores):
            for _ in range(runs):
                self.session.run(self.image)

    def take_turn(self, seconds: float, umpire: _Umpire) -> None:
        """Runs for the given time, again while others disturb it; the least disturbed turn is kept."""
        best: Turn | None = None
        while True:
            began = time.perf_counter()
            turn = umpire.turn(self.session, self.image, seconds)
            best = turn if best is None or turn.lost < best.lost else best
            if not umpire.take_again(turn, time.perf_counter() - began):
                break
        self.turns.append(best)


def example_image(session: Session) -> np.ndarray:
    """A random float32 image, (1, C, H, W), that a session takes.

    Raises:
        InputError: If its file leaves the size open.
    """
    shape = (1, *session.input_shape)
    if 0 in shape:
        raise InputError(f"{session.path}: leaves its input size open: {shape}, 0 is open. Export it with a fixed size")
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
