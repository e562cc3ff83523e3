"""What not every system has, and what is done without it: processors, memory, locks, forked processes.

Nothing else in ridgepoint asks a system for more than Python promises everywhere. What is missing is an empty or absent
answer, never a guess. It was run on Linux only: what it does on macOS and Windows follows their manuals.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import platform
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import resource

TICKS_PER_S = 100.0
IDLE, STOLEN = slice(3, 5), 7
"""Of the times that `cpu_ticks` gives: doing nothing and waiting for a disk; taken away by a virtual machine's host."""

_CPUS, _SELF = Path("/sys/devices/system/cpu"), Path("/proc/self")
_TICKS, _CPU_INFO = Path("/proc/stat"), Path("/proc/cpuinfo")
_THERMAL = Path("/sys/class/thermal")
_MACHINE_IDS = Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")
_BOARD = Path("/proc/device-tree/model")
_KERNEL, _MODALIAS = Path("/proc/sys/kernel/arch"), Path("/sys/devices/system/cpu/modalias")
_FAMILIES = ("x86|i[3-6]86|amd64", "aarch64|arm", "riscv", "ppc|powerpc", "s390", "mips", "loongarch")


def allowed_cpus() -> frozenset[int]:
    """Numbers of the logical processors that this thread may run on; none where the system pins no threads."""
    return frozenset(os.sched_getaffinity(0)) if _is_linux() else frozenset()


def pin(cpus: Collection[int]) -> None:
    """Keep the calling thread on these processors; nothing where the system pins no threads."""
    if _is_linux():
        os.sched_setaffinity(0, cpus)


def _is_linux() -> bool:
    """Whether the kernel is Linux; Python tells it from Android since 3.13."""
    return sys.platform in ("linux", "android")


def cpu_fact(cpu: int, name: str) -> str | None:
    """What Linux tells of a processor, such as its `cpu_capacity`; None where the system does not."""
    try:
        return (_CPUS / f"cpu{cpu}" / name).read_text().strip()
    except OSError:
        return None


def cpu_info() -> str:
    """Linux's description of the processors; empty on other systems."""
    try:
        return _CPU_INFO.read_text(errors="replace")
    except OSError:
        return ""


def cpu_ticks() -> dict[int, list[int]]:
    """Hundredths of a second that every processor has spent in each state, by its number; nothing where nobody tells.

    Source: man 5 proc, /proc/stat.
    """
    try:
        lines = [line.split() for line in _TICKS.read_text().splitlines() if line.startswith("cpu") and line[3] != " "]
        return {int(name.removeprefix("cpu")): [int(ticks) for ticks in times[:8]] for name, *times in lines}
    except (OSError, ValueError):
        return {}


class ThreadWaits:
    """The time that this process's threads were ready to run and did not; threads made later do not count.

    It holds files open until it is closed.

    Source: Linux, Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
    """

    def __init__(self) -> None:
        self._files: list[int] = []
        with contextlib.suppress(OSError):
            for task in (_SELF / "task").iterdir():
                self._files.append(os.open(task / "schedstat", os.O_RDONLY))
        if not any(_ran_and_waited(file)[0] for file in self._files):  # a system that has the files and does not count
            self.close()

    def seconds(self) -> float | None:
        """Since the threads began; None where the system does not count it."""
        return sum(_ran_and_waited(file)[1] for file in self._files) / 1e9 if self._files else None

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            os.close(file)
        self._files.clear()


def _ran_and_waited(file: int) -> tuple[int, int]:
    """Nanoseconds that a thread has run, and that it has waited for a core; none of one that has ended."""
    try:
        ran, waited, _ = os.pread(file, 96, 0).split()
    except OSError:
        return 0, 0
    return int(ran), int(waited)


def governor(cpu: int) -> str | None:
    """Who decides how fast a processor is clocked; None where the system does not tell."""
    return cpu_fact(cpu, "cpufreq/scaling_governor")


def frequency_mhz(cpu: int, *, most: bool = False) -> float | None:
    """How fast a processor is clocked now, or may be at most; None where the system does not tell."""
    told = cpu_fact(cpu, "cpufreq/cpuinfo_max_freq" if most else "cpufreq/scaling_cur_freq")
    return int(told) / 1e3 if told and told.isdecimal() else None


def heat() -> tuple[float | None, bool]:
    """The temperature of the hottest zone in degrees Celsius, None where nobody tells; and whether one is throttled.

    At a zone's passive trip point Linux slows the processors down.

    Source: Linux, Documentation/driver-api/thermal/sysfs-api.rst.
    """
    hottest, throttled = None, False
    for zone in sorted(_THERMAL.glob("thermal_zone*")):
        celsius = _celsius(zone / "temp")
        if celsius is None:
            continue
        hottest = celsius if hottest is None else max(hottest, celsius)
        for kind in zone.glob("trip_point_*_type"):
            limit = _celsius(kind.with_name(kind.name.replace("_type", "_temp")))
            with contextlib.suppress(OSError):
                passive = kind.read_text().strip() == "passive"
                throttled = throttled or (passive and limit is not None and 0 < limit <= celsius)
    return hottest, throttled


def _celsius(file: Path) -> float | None:
    try:
        return int(file.read_text()) / 1e3
    except (OSError, ValueError):
        return None


def machine_id() -> str:
    """What tells this installation from all others; the machine's name in a network where nothing better is told.

    Source: man 5 machine-id, which asks that it is shown to nobody as it is.
    """
    for file in _MACHINE_IDS:
        with contextlib.suppress(OSError):
            return file.read_text().strip()
    return platform.node()


def board_name() -> str:
    """What a board calls itself in its device tree; empty where there is none."""
    try:
        return _BOARD.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def emulated_by(machine: str | None = None) -> str | None:
    """The kind of the processor that emulates the one that programs see; None where none is seen to.

    What emulates programs tells them another `uname`, and hands the kernel's own files through; what emulates a whole
    machine is not seen.

    Args:
        machine: What programs see; by default what this one does.

    Source: Linux, Documentation/admin-guide/sysctl/kernel.rst, arch; QEMU, user space emulator.
    """
    seen = _family(platform.machine() if machine is None else machine)
    for file, pattern in ((_KERNEL, r"(\w+)"), (_MODALIAS, r"cpu:type:(\w+)")):
        with contextlib.suppress(OSError):
            told = re.match(pattern, file.read_text())
            if told and seen and _family(told[1]):
                return None if _family(told[1]) == seen else told[1][:40]
    return None


def _family(machine: str) -> str | None:
    """Processors that run each other's programs in a mode of their own, as 64-bit ones do those of 32 bits."""
    return next((each for each in _FAMILIES if re.match(each, machine, re.IGNORECASE)), None)


def system_name() -> str:
    """The system and its version."""
    return f"{platform.system()} {platform.release()}"


def left_behind(folder: Path, process: int) -> bool:
    """Whether a folder is one of this user's whose process is gone; False where the system does not tell."""
    try:
        own = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == _SELF.stat().st_uid
    except OSError:
        return False
    return own and not Path(f"/proc/{process}").exists()


def physical_memory_bytes() -> int | None:
    """The memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


@contextlib.contextmanager
def limited_growth(wanted_bytes: int) -> Iterator[None]:
    """Let this process grow by so much, beyond which allocations fail; without a bound where the system sets none."""
    sizes = _SELF / "statm"
    if sys.platform == "win32" or not sizes.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(sizes.read_text().split()[0]) * resource.getpagesize() + wanted_bytes
    if soft != resource.RLIM_INFINITY:
        wanted = min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def tells_peak_memory() -> bool:
    """Whether the peak of a process's memory can be asked for, and forgotten."""
    return (_SELF / "clear_refs").exists()


def forget_peak_memory() -> None:
    """From now on `peak_bytes` is that of what follows."""
    (_SELF / "clear_refs").write_text("5")


def resident_bytes() -> int:
    """The memory that this process has now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most memory that this process had."""
    return _status("VmHWM")


def _status(key: str) -> int:
    lines = (_SELF / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) * 1024


def set_malloc_option(option: int, value: int) -> None:
    """Set an option of glibc's allocator by its number in malloc.h; nothing where the C library is another one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(option, value)


def lock_file(file: int) -> None:
    """Lock an open file for this process, until it closes it or ends.

    Raises:
        OSError: If another process has it, or the file system has no locks.
    """
    if sys.platform == "win32":
        os.lseek(file, 1 << 20, os.SEEK_SET)  # Windows' locks hide bytes from readers: one that nobody reads
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def in_forked_children(act: Callable[[], None]) -> None:
    """Have something done in every forked child, before all else; where nothing forks there are none."""
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=act)


def fork_context() -> BaseContext | None:
    """How processes are made that begin as copies of this one; None where the system cannot."""
    return multiprocessing.get_context("fork") if "fork" in multiprocessing.get_all_start_methods() else None


def fork_child(act: Callable[[], None]) -> int:
    """Make a copy of this process that does something and ends, and that nobody has to wait for; its number.

    Raises:
        OSError: If the system cannot copy processes, as Windows cannot, or has no room for another one.
    """
    if sys.platform == "win32":
        raise OSError("processes cannot be copied on Windows")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            act()
        finally:
            os._exit(0)
    return child


def kill_process(number: int) -> None:
    """End a process at once, if it is there."""
    with contextlib.suppress(OSError):
        os.kill(number, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def end_with_parent() -> None:
    """End this process when the one that made it ends; where the system cannot do that, nothing.

    Source: man 2 prctl, PR_SET_PDEATHSIG.
    """
    if _is_linux():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
