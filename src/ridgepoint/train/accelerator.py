"""Where training computes: on the CPU, or on a GPU.

What a network ships as is measured on the device that it is for, wherever it was trained.
"""

import contextlib
import os
from collections.abc import Iterator

import torch

from ridgepoint.errors import InputError, nearest
from ridgepoint.train.processes import processes

ACCELERATORS = ("auto", "cpu", "cuda")
CPU = torch.device("cpu")
ALL_THREADS = torch.get_num_threads()  # one per core, or what OMP_NUM_THREADS says


def find_accelerator(name: str = "auto") -> torch.device:
    """The CPU or the first GPU; `auto` is the GPU where there is one, for a process that trains alone.

    A GPU is told to sum in the same order every time, where it can: equal seeds give equal weights on equal hardware.

    Args:
        name: One of `ACCELERATORS`.

    Raises:
        InputError: If there is no such accelerator, or no GPU here, or several processes would share it.
    """
    if name not in ACCELERATORS:
        raise InputError(f"--accelerator is '{name}'; {nearest(name, ACCELERATORS)}")
    alone = processes().count == 1
    if name == "cuda" and not alone:
        raise InputError("--accelerator cuda: several processes train on CPUs only. Leave out torchrun, or give cpu")
    if name == "cuda" and not torch.cuda.is_available():
        why = "torch finds none" if torch.version.cuda or torch.version.hip else "this torch was built without CUDA"
        raise InputError(f"--accelerator cuda: {why}. Give --accelerator cpu, or install a driver and a torch for it")
    if name == "cpu" or not alone or not torch.cuda.is_available():
        return CPU
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS may sum in another order every time
    return torch.device("cuda")


def told(accelerator: torch.device) -> str:
    """An accelerator for people, such as ``NVIDIA H100 80GB HBM3``."""
    return "CPU" if accelerator == CPU else torch.cuda.get_device_name(accelerator)


def seed_generator(accelerator: torch.device, seed: int) -> None:
    """Seed what an accelerator draws from, such as dropout."""
    if accelerator == CPU:  # `torch.manual_seed` visits every device, which takes as long as a small layer
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small work on the CPU by one thread of torch's: two that share it wait for each other longer than it takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
