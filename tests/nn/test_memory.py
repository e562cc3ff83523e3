"""A step's memory is used again by the next one."""

import platform
import resource
from multiprocessing.connection import Connection

import pytest
import torch
from forks import forks

from ridgepoint.nn.memory import keep_freed_memory


def faults(steps: int) -> int:
    """Pages that so many steps ask the system for."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        several = [torch.ones(size) for size in (9_000_000, 10_000_000)]  # more than the 32 MB that glibc keeps at most
        del several
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def count(said: Connection) -> None:
    """Before freed memory is kept, and from then on."""
    found = [faults(10)]
    keep_freed_memory()
    faults(3)
    said.send([*found, faults(10)])


@pytest.mark.clock
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so soon")
def test_pages_are_not_paid_for_at_every_step():
    """In a process of its own: what is kept from then on, no other test shall find kept."""
    here, there = forks().Pipe(duplex=False)
    process = forks().Process(target=count, args=(there,))
    process.start()
    given, kept = here.recv()
    process.join()
    assert kept < given / 4
