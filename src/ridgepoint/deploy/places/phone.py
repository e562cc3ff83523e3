"""A phone as it is sold, without Python: `benchmark_model` clocks files there, and gives times and no answers.

At the other end of `adb shell` a few lines of script have a folder, run one command after the other and remove the
folder when the connection ends. In each round every file has its turn, a process of `benchmark_model`, of which the
mean of its runs is told. No reference networks run beside: how calm the phone was is told by the spread of the rounds
alone.
"""

import contextlib
import hashlib
import os
import shlex
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ridgepoint.deploy.places import benchmark_model, thermal
from ridgepoint.deploy.places.adb import Adb
from ridgepoint.deploy.places.connection import ANSWER_S
from ridgepoint.deploy.places.hello import Core, Hello
from ridgepoint.deploy.places.place import Remote, Turning
from ridgepoint.deploy.places.wire import MAGIC
from ridgepoint.deploy.rounds import COOL_S, State, Taken
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError, printable
from ridgepoint.files import digest_file, read_file

PROGRAM = "RIDGEPOINT_BENCHMARK_MODEL"
RUNTIME = "litert"
CAVEAT = (
    "Means, not runs: benchmark_model tells only what the runs of a round took on average. Answers were not checked on "
    "the device."
)
TURN_S = 120.0  # the longest that a turn may take, loading included
FOLDERS, ABOUT_BYTES = "/data/local/tmp/ridgepoint-phone-", 8000
_SHELL = f"""
for old in {FOLDERS}*; do [ -d "/proc/${{old##*-}}" ] || rm -rf "$old"; done
d={FOLDERS}$$ p=
umask 077
mkdir "$d" && : >"$d/said" || exit 1
trap 'rm -rf "$d"' EXIT
trap 'kill $p 2>/dev/null; exit 1' HUP INT TERM PIPE
echo '{MAGIC.decode().rstrip()}'
while IFS= read -r header && IFS= read -r line; do
  eval "$line" >"$d/said" 2>&1 </dev/null &
  p=$!
  wait $p
  code=$?
  p=
  echo "{{\\"kind\\": \\"did\\", \\"code\\": $code, \\"size\\": $(($(wc -c <"$d/said")))}}"
  cat "$d/said"
done
"""
"""What runs on the phone: of each message the header is passed over, the payload is a line of the shell's."""

_ABOUT = "; ".join(
    [
        *(
            f'echo "{name}=$(getprop {key})"'
            for name, key in (
                ("maker", "ro.product.manufacturer"),
                ("model", "ro.product.model"),
                ("serial", "ro.serialno"),
                ("android", "ro.build.version.release"),
                ("abi", "ro.product.cpu.abi"),
            )
        ),
        'echo "number=$$"',
        "taskset 1 true 2>/dev/null && echo taskset=1",
        'for c in /sys/devices/system/cpu/cpu[0-9]*; do echo "cpu=${c##*cpu}|$(cat $c/cpu_capacity 2>/dev/null)|'
        '$(cat $c/cpufreq/cpuinfo_max_freq 2>/dev/null)|$(cat $c/cpufreq/scaling_governor 2>/dev/null)"; done',
        'grep MemTotal /proc/meminfo | while read name kb unit; do echo "kb=$kb"; done',
        'echo "info="; head -n 30 /proc/cpuinfo',
    ]
)
_HEAT = "dumpsys thermalservice"
_CLOCKED = "cat /sys/devices/system/cpu/cpu{cpu}/cpufreq/{what} 2>/dev/null"


class Phone(Remote):
    """A phone that a shell was begun on.

    Args:
        adb: The way there.
    """

    bare, caveat = True, CAVEAT

    def __init__(self, adb: Adb):
        self.adb, self.name, self.lock = adb, str(adb.address), threading.RLock()
        self.connection = adb.connection(_SHELL, first=b"")
        self.kept, self.released = dict[str, int](), list[str]()
        try:
            facts, info = self._facts()
            self.folder, self._pins, self.device = FOLDERS + facts["number"], "taskset" in facts, facts["model"]
            self.hello = self._hello(facts, info)
        except BaseException:
            self.close()
            raise

    def open(self, path: Path, *, runtime: str, threads: int = 1, pinned: bool = True) -> "PhoneSession":
        """See `Place`; the file has run there once."""
        self.expect(runtime)
        return PhoneSession(self, path, threads=threads, pinned=pinned)

    def expect(self, runtime: str) -> None:
        """Refuse what a phone without Python has no program for.

        Raises:
            InputError: With what to do.
        """
        if runtime != RUNTIME:
            raise InputError(
                f"{self.name}: is a phone without Python, where --runtime {runtime} has no program that clocks it. "
                f"Give --runtime {RUNTIME} and .tflite files, or name a Python that adb's shell may run: "
                f"{self.name}/path/to/python"
            )

    @property
    def lacking(self) -> str:
        """What to do where it has no runtime."""
        return f"none; {PROGRAM}=/path/to/benchmark_model names what clocks .tflite files"

    @cached_property
    def program(self) -> Path:
        """The user's `benchmark_model`, on this machine.

        Raises:
            InputError: If it is not named, or not there.
        """
        told = os.environ.get(PROGRAM, "")
        if not told:
            raise InputError(
                f"{self.name}: files are clocked there by LiteRT's benchmark_model, which is yours to get, built for "
                f"the phone (android_aarch64 for most). Say where it is: {PROGRAM}=/path/to/benchmark_model"
            )
        path = Path(told)
        try:
            digest_file(path, limit_bytes=LARGEST_BYTES)
        except InputError as error:
            raise InputError(f"{PROGRAM}: {error}") from None
        return path.resolve()

    def version(self, runtime: str) -> str:
        """What tells a build of `benchmark_model` from others, which tell no version.

        Raises:
            InputError: If another runtime is meant, or the program is not named, or not there.
        """
        self.expect(runtime)
        return self._build

    @cached_property
    def _build(self) -> str:
        return f"benchmark_model-{digest_file(self.program, limit_bytes=LARGEST_BYTES)[:8]}"

    @contextlib.contextmanager
    def rounds_of(
        self,
        sessions: Mapping[Hashable, Session],
        beside: Mapping[int, Sequence[Session]],
        *,
        warmup: int,
        patience_s: float,
    ) -> Iterator[Turning]:
        """See `Remote`; each turn warms itself up."""
        yield PhoneRounds(self, sessions, list(beside), patience_s)

    def do(self, line: str, *, limit_s: float = ANSWER_S) -> tuple[str, int]:
        """What a line of the shell's says there, and what it ends with; files that nobody has any more go before."""
        with self.lock:
            self._remove_released()
            return self._do(line, limit_s)

    def _remove_released(self) -> None:
        """Remove files that no session has any more."""
        while self.released:
            there = self.released.pop()
            self.kept[there] -= 1
            if not self.kept[there]:
                del self.kept[there]
                self._do(f"rm -f {shlex.quote(there)}", ANSWER_S)

    def _do(self, line: str, limit_s: float) -> tuple[str, int]:
        assert "\n" not in line
        header, content = self.connection.ask({"kind": "do"}, line.encode() + b"\n", limit_s=limit_s)
        code = header.get("code")
        if header["kind"] != "did" or type(code) is not int:
            raise InputError(f"{self.name}: answers with what was not asked for")
        return content.decode(errors="replace"), code

    def put(self, path: Path, name: str) -> str:
        """Send a file, unless it is there; its path there.

        Raises:
            InputError: If there is no room, or it was damaged on its way.
            UnreachableError: If the phone is gone.
        """
        content = read_file(path, limit_bytes=LARGEST_BYTES)
        there = f"{self.folder}/{name}"
        with self.lock:
            self._remove_released()
            if there in self.kept:
                self.kept[there] += 1
                return there
            if (why := self.adb.push(path, there, size=len(content))) is not None:
                raise self.connection.broke(why) if self.adb.lost(why) else InputError(f"{self.name}: {why}")
            told, code = self.do(f"chmod 700 {shlex.quote(there)}; sha256sum {shlex.quote(there)}")
            if code == 0 and told[:64] != hashlib.sha256(content).hexdigest():
                raise InputError(f"{self.name}: {path.name} was damaged on its way. Give the same command again")
            self.kept[there] = 1
        return there

    def cores(self, threads: int) -> tuple[int, ...]:
        """All cores that are as fast as the slowest of so many of the fastest; nothing where no program is pinned."""
        speeds = {core.cpu: (float(core.capacity or 0), core.most_mhz or 0.0) for core in self.hello.cores}
        if not self._pins or len(speeds) < threads:
            return ()
        least = sorted(speeds.values(), reverse=True)[threads - 1]
        return tuple(sorted(cpu for cpu, speed in speeds.items() if speed >= least))

    def heat(self) -> tuple[float | None, bool]:
        """The hottest processor, in degrees Celsius, and whether the phone is slowed down, as far as it tells."""
        return thermal.read(self.do(_HEAT)[0])

    def state(self, cores: Sequence[int], hot: float) -> State:
        """How the phone is now."""
        celsius, _ = self.heat()
        if not cores:
            return State(celsius, hot=hot)
        asked = [_CLOCKED.format(cpu=cores[-1], what=what) for what in ("scaling_cur_freq", "scaling_governor")]
        khz, governor = (self.do(line)[0].strip() for line in asked)
        return State(celsius, _mhz(khz), _word(governor) or None, hot)

    def close(self) -> None:
        """End the shell there, which removes its folder."""
        self.connection.close()

    def _facts(self) -> tuple[dict[str, str], str]:
        """What the phone tells of itself, and of its processors."""
        told, _ = self._do(_ABOUT, ANSWER_S)
        before, _, info = told.partition("\ninfo=\n")
        pairs = [line.partition("=")[::2] for line in before.splitlines()]
        facts = {name: _word(value) for name, value in pairs if name != "cpu"}
        facts["cpus"] = "\n".join(value for name, value in pairs if name == "cpu")
        if not facts.get("number", "").isdecimal():
            raise InputError(f"{self.name}: answers with what was not asked for. Try: {self.adb.address.by_hand}")
        facts["model"] = f"{facts.get('maker', '')} {facts.get('model', '')}".strip() or self.name
        return facts, info

    def _hello(self, facts: Mapping[str, str], info: str) -> Hello:
        told_by = facts["model"], facts.get("serial") or self.adb.address.serial
        cpus = [line.split("|") for line in facts["cpus"].splitlines()[:256]]
        return Hello(
            identity=hashlib.sha256("\n".join(told_by).encode()).hexdigest()[:16],
            machine=facts.get("abi", ""),
            system=f"Android {facts.get('android', '')}",
            python=None,
            executable=None,
            cpu_info=info[:ABOUT_BYTES],
            cores=[_core(words) for words in cpus if len(words) == 4 and words[0].isdecimal()],
            memory_bytes=int(facts["kb"]) * 1024 if facts.get("kb", "").isdecimal() else None,
            temperature_c=self.heat()[0],
            runtimes={RUNTIME: self._build} if os.environ.get(PROGRAM) else {},
        )


def _core(words: Sequence[str]) -> Core:
    cpu, capacity, khz, governor = words
    return Core(
        cpu=int(cpu),
        capacity=capacity if capacity.isdecimal() else None,
        most_mhz=_mhz(khz),
        governor=_word(governor) or None,
    )


def _mhz(khz: str) -> float | None:
    return int(khz[:9]) / 1e3 if khz.isdecimal() else None


def _word(text: str) -> str:
    """What a phone calls something, as it may be shown."""
    return printable(text.strip())[:100]


class PhoneSession(Session):
    """A file that lies on a phone and runs there, whose answers nobody sees."""

    runtime, answers = RUNTIME, False

    def __init__(self, phone: Phone, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        self.place, self.version, self._phone = phone, phone.version(RUNTIME), phone
        self.input_shape = ()
        self.cores = phone.cores(threads) if pinned else ()
        self._program = phone.put(phone.program, "benchmark_model")
        name = f"{find_runtime(RUNTIME, here=False).digest(path)[:32]}.tflite"
        self._file = phone.put(path, name)
        weakref.finalize(self, phone.released.append, self._file)
        self.clock(0.0)

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """See `Session`.

        Raises:
            InputError: Always: there is no Python that would send answers.
        """
        self._phone.expect_answers()
        raise AssertionError

    def turn(self, x_BCHW: np.ndarray, *, seconds: float, cores: Sequence[int], lost_s: Callable[[], float]) -> Turn:
        """See `Session`; its turns are taken there, by `Phone.rounds_of`.

        Raises:
            NotImplementedError: Always: from here, the clock would show the connection.
        """
        raise NotImplementedError("a phone's session takes its turns there: Phone.rounds_of")

    def clock(self, seconds: float) -> Turn:
        """A turn of so many seconds, or of a moment; its one time is the mean of its runs.

        Raises:
            InputError: If the file cannot be run there.
        """
        line = benchmark_model.command(
            self._program, self._file, threads=self.threads, seconds=seconds, cores=self.cores
        )
        try:
            found = benchmark_model.read(*self._phone.do(line, limit_s=TURN_S))
        except InputError as error:
            raise InputError(f"{self._phone.name}: {self.path}: {_meant(str(error), self._phone)}") from None
        return Turn([found.mean_ms], runs=found.runs)


class PhoneRounds:
    """Rounds that a phone takes; a `Turning`."""

    def __init__(self, phone: Phone, sessions: Mapping[Hashable, Session], groups: Sequence[int], patience_s: float):
        self._phone, self._sessions, self._groups, self.left_s = phone, sessions, groups, patience_s

    def look(self, key: int, turns: int) -> tuple[list[list[Turn]], float]:
        """See `Turning`; there are no references."""
        return [], 0.0

    def take(self, rounds: int, round_s: float, told: Callable[[int, int], None] | None = None) -> Taken:
        """See `Turning`."""
        turns: dict[Hashable, list[Turn]] = {name: [] for name in self._sessions}
        hot, cores = 0, tuple[int, ...]()
        for done in range(rounds):
            hot += self._too_hot()
            for name, session in self._sessions.items():
                assert isinstance(session, PhoneSession)
                turns[name].append(session.clock(max(round_s, benchmark_model.LEAST_S)))
                cores = session.cores
            if told:
                told(done + 1, rounds)
        state = self._phone.state(cores, hot / rounds)
        return Taken(turns=turns, beside={key: [] for key in self._groups}, load=0.0, state=state)

    def _too_hot(self) -> bool:
        """Whether the phone slows itself down for its heat, after as much of a rest as there is patience for."""
        while self._phone.heat()[1]:
            if self.left_s <= 0:
                return True
            began = time.monotonic()
            time.sleep(COOL_S)
            self.left_s -= time.monotonic() - began
        return False


def _meant(said: str, phone: Phone) -> str:
    """What a program that could not be run says, with what to do."""
    lower = said.lower()
    if any(mark in lower for mark in ("bit elf file", "exec format error", "cannot link executable")):
        return f"{said}. Give the benchmark_model that is built for {phone.hello.machine}: {PROGRAM}"
    return f"{said}. Export it again, or give another file"
