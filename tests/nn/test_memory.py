"""A step's memory is used again by the next one."""

import platform
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest
import torch
from forks import forks

from ridgepoint.data import Preprocessing
from ridgepoint.nn.memory import keep_freed_memory
from ridgepoint.train.loop import logits

MOST = 4000  # pages; the maps below take nine times as many at least


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


def evaluate(said: Connection) -> None:
    """Again and again, images whose maps take 151 MB."""
    model, images = torch.nn.Conv2d(3, 64, 3, padding=1), torch.zeros(64, 3, 96, 96, dtype=torch.uint8)
    preprocessing = Preprocessing(channels=3, height=96, width=96, resize=96, mean=(0.5,) * 3, std=(0.5,) * 3)
    found = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        logits(model, images, preprocessing)
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    said.send([found[0], min(found[1:])])


@pytest.mark.clock
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so soon")
@pytest.mark.parametrize("work", [count, evaluate])
def test_pages_are_not_paid_for_again(work: Callable[[Connection], None]):
    """In a process of its own: what is kept from then on, no other test shall find kept."""
    here, there = forks().Pipe(duplex=False)
    process = forks().Process(target=work, args=(there,))
    process.start()
    given, kept = here.recv()  # few at first, too, where the test process keeps what earlier tests freed
    process.join()
    assert kept < MOST, given
