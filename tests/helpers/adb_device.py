"""A device behind the stand-in for adb (`adb_program.py`): its folder, what is seen of it, and what is left on it."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from processes import begun_by, processes
from ssh_server import FREE_S

SERIAL = "R58M12ABCDE"
PROGRAM = Path(__file__).with_name("adb_program.py")
TOOLS = {
    "getprop": """case "$1" in
ro.product.manufacturer) echo Google;; ro.product.model) echo "Pixel 6";; ro.serialno) echo 1A2B3C;;
ro.build.version.release) echo 14;; ro.product.cpu.abi) echo arm64-v8a;;
esac""",
    "dumpsys": 'cat "{folder}/thermalservice"',
    "taskset": 'echo "$1" >>"{folder}/pinned"; shift; exec "$@"',
}
BENCHMARK_MODEL = r"""
warm=0 secs=0
for word; do case "$word" in
--graph=*) graph=${word#*=};;
--min_secs=*) secs=${word#*=};;
--warmup_min_secs=*) warm=${word#*=};;
--num_runs=1 | --num_threads=* | --max_secs=* | --warmup_runs=1) ;;
*) echo "Unconsumed cmdline flags: $word" >&2; exit 1;;
esac; done
echo "INFO: STARTING!"
[ "$(head -c 4 "$graph")" = TFL3 ] || {
  printf 'ERROR: Failed to mmap model %s\nERROR: Benchmarking failed.\n' "$graph" >&2; exit 1; }
us=$(sed -n 's/^us=//p' "$graph")
echo "INFO: Loaded model $graph"
echo "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
tell() {
  echo "INFO: Running benchmark for at least 1 iterations and at least $1 seconds but terminate if exceeding 20 s."
  [ "$1" = 0 ] && { echo "INFO: count=1 curr=$us"; return; }
  count=$(awk "BEGIN { print int($1 * 1e6 / $us) }") avg=$((us + $$ % 7)).5
  echo "INFO: count=$count first=$((us + 90)) curr=$us min=$us max=$((us * 3)) avg=$avg std=12 p5=$us p95=$((us + 9))"
  echo
}
tell "$warm"
trap 'kill $asleep; exit 1' TERM  # in one process it would end by itself
sleep "$(sed -n 's/^sleep=//p' "$graph")" & asleep=$!
wait $asleep
tell "$secs"
echo "INFO: Inference timings in us: Init: 4108, First inference: $us, Warmup (avg): $us, Inference (avg): $us"
"""
"""Stands for LiteRT's program: the lines that its source has, with the times that a file names."""
COOL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=77.7, mType=0, mName=cpu0, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=41.5, mType=0, mName=cpu0, mStatus=0}
\tTemperature{mValue=44.25, mType=0, mName=cpu1, mStatus=0}
\tTemperature{mValue=39.0, mType=1, mName=gpu, mStatus=0}
\tTemperature{mValue=33.1, mType=3, mName=skin, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=cpu0}
"""


@dataclass(frozen=True)
class AdbDevice:
    """Its folder on this machine."""

    folder: Path

    @property
    def bare(self) -> str:
        return f"adb://{SERIAL}"

    @property
    def address(self) -> str:
        """With this Python, which has a runtime."""
        return f"{self.bare}{sys.executable}"

    def benchmark_model(self, script: str = BENCHMARK_MODEL) -> Path:
        """A stand-in for LiteRT's program, on this machine."""
        path = self.folder / f"benchmark_model_{len(list(self.folder.iterdir()))}"
        _program(path, script)
        return path

    def pinned(self) -> list[str]:
        """The masks that programs were kept to."""
        return (self.folder / "pinned").read_text().split()

    @property
    def temporary(self) -> Path:
        return self.folder / "data/local/tmp"

    def see(self, **states: str) -> None:
        """What adb sees from now on."""
        (self.folder / "seen.json").write_text(json.dumps(states))

    def processes(self) -> list[int]:
        """All that runs on the device."""
        return list(self._told())

    def shells(self) -> list[int]:
        """Those that adb began."""
        return [number for number, told in self._told().items() if "\0-c\0" in told and "ridgepoint" in told]

    def told(self) -> list[str]:
        """Their words."""
        return list(self._told().values())

    def _told(self) -> dict[int, str]:
        return {number: told for number, told in processes().items() if f"TMPDIR={self.temporary}" in told}

    def clients(self) -> list[int]:
        """The programs of this side that lead there, begun by this process; their forks are the device's side."""
        found = [n for n, words in processes().items() if str(PROGRAM) in words and "\0shell\0" in words]
        return begun_by(os.getpid(), found)

    def wait_until_left(self) -> None:
        """Until nothing of ours is there any more: no process, no file."""
        until = time.monotonic() + FREE_S
        while self.processes() or list(self.temporary.iterdir()):
            left = [processes().get(number, "")[:200] for number in self.processes()]
            assert time.monotonic() < until, f"left behind: {left}, {list(self.temporary.iterdir())}"
            time.sleep(0.02)


@contextmanager
def adb_device(folder: Path, *, temporary: Path | None = None) -> Iterator[AdbDevice]:
    """Have `adb` find a device; its folder for temporary files may lie on another disk."""
    found = AdbDevice(folder)
    (folder / "data/local").mkdir(parents=True)
    found.temporary.symlink_to(temporary) if temporary else found.temporary.mkdir()
    found.see(**{SERIAL: "device"})
    for place in ("bin", "here"):
        (folder / place).mkdir()
    for name, script in TOOLS.items():
        _program(folder / "bin" / name, script.replace("{folder}", str(folder)))
    (folder / "thermalservice").write_text(COOL)
    for cpu, (capacity, khz) in enumerate([(160, 1_800_000), (160, 1_800_000), (1024, 2_802_000), (1024, 2_802_000)]):
        place = folder / f"sys/devices/system/cpu/cpu{cpu}"
        (place / "cpufreq").mkdir(parents=True)
        (place / "cpu_capacity").write_text(f"{capacity}\n")
        (place / "cpufreq/cpuinfo_max_freq").write_text(f"{khz}\n")
        (place / "cpufreq/scaling_cur_freq").write_text(f"{khz // 2}\n")
        (place / "cpufreq/scaling_governor").write_text("sched_pixel\n")
    _program(folder / "here" / "adb", f'exec {sys.executable} -S -E {PROGRAM} "$@"')
    changes = {"PATH": f"{folder}/here:{os.environ['PATH']}", "ADB_PROGRAM_FOLDER": str(folder)}
    with mock.patch.dict(os.environ, changes):
        yield found


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
