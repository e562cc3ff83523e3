"""A step's memory is used again by the next one."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from ridgepoint.train.memory import keep_freed_memory

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        several = [torch.ones(size) for size in (9_000_000, 10_000_000)]  # more than the 32 MB that glibc keeps at most
        del several
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
faults(3)
print(faults(20))
"""


@pytest.mark.clock
@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so soon")
def test_pages_are_not_paid_for_at_every_step():
    given, kept = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)
        for how in ("given back", "kept")
    )
    assert kept < given / 4
