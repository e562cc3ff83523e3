"""Which machine this is."""

import platform
from functools import lru_cache

from ridgepoint.system import cpu_info

# float32 MACs that one core starts in a cycle with two fused multiply-adds, by the instructions that it has
_MACS_PER_CYCLE = {"avx512f": 32, "avx2": 16, "asimd": 16}
_MOST_HZ = 6.0e9


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """The processor's name as the operating system tells it, or its architecture."""
    for line in cpu_info().splitlines():
        if line.startswith(("model name", "Model", "Hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@lru_cache(maxsize=8)
def most_macs_per_s(threads: int) -> float | None:
    """More float32 MACs a second than so many cores of this processor can do; None where its kind is not known.

    A bound to see impossible times by, not a peak: no core is clocked higher than it assumes.
    """
    words = set(cpu_info().split())
    return next((threads * macs * _MOST_HZ for name, macs in _MACS_PER_CYCLE.items() if name in words), None)
