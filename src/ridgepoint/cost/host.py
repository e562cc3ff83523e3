"""Which machine this is."""

import platform
from functools import lru_cache

from ridgepoint.system import cpu_info, emulated_by

# float32 MACs that one core starts in a cycle with two fused multiply-adds, by the instructions that it has
_MACS_PER_CYCLE = {"avx512f": 32, "avx2": 16, "asimd": 16}
_MOST_HZ = 6.0e9
_X86, _WIDE_SUMS = ("x86_64", "amd64", "i386", "i686"), {"avx512_vnni", "avx_vnni"}


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """The processor's name as the operating system tells it, or its architecture."""
    name = cpu_name_in(cpu_info()) or platform.processor() or platform.machine()
    return as_emulated(name, platform.machine(), emulated_by())


def as_emulated(name: str, machine: str, by: str | None) -> str:
    """A processor's name, which says so where another kind emulates it."""
    return name if by is None else f"{name} ({machine}, emulated by {by})"


def cpu_name_in(told: str) -> str:
    """The processor's name in Linux's description; empty where it has none."""
    for line in told.splitlines():
        if line.startswith(("model name", "Model", "Hardware")) and ":" in line:
            return line.split(":", 1)[1].strip()
    return ""


@lru_cache(maxsize=8)
def most_macs_per_s(threads: int) -> float | None:
    """More float32 MACs a second than so many cores of this processor can do; None where its kind is not known.

    A bound to see impossible times by, not a peak: no core is clocked higher than it assumes.
    """
    return most_macs_per_s_in(cpu_info(), threads)


def most_macs_per_s_in(told: str, threads: int) -> float | None:
    """The same of a processor by Linux's description."""
    words = set(told.split())
    return next((threads * macs * _MOST_HZ for name, macs in _MACS_PER_CYCLE.items() if name in words), None)


def overflows_in(told: str, machine: str) -> bool:
    """Whether sums of uint8 times int8 may overflow, which weights of 7 bits prevent: x86 without VNNI.

    Args:
        told: Linux's description of the processor; empty where there is none, and then VNNI is not relied on.
        machine: Its architecture, as Python's `platform.machine` names it.

    Source: ONNX Runtime, "Quantize ONNX models", when to use reduce_range.
    """
    return machine.lower() in _X86 and not _WIDE_SUMS & set(told.split())
