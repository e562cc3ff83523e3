"""How many threads train: all cores, unless the machine is busy with something else and fewer are faster."""

import statistics
import time

import torch

from ridgepoint.fit.prepare import Prepared
from ridgepoint.nn.build import build
from ridgepoint.run.folder import RunFolder
from ridgepoint.train.accelerator import ALL_THREADS, CPU

STEPS = 4


def set_training_threads(run: RunFolder, prepared: Prepared) -> int:
    """Choose and set torch's threads; called before the search and before every full training.

    Bounded by count, all threads are used, so that equal requests give equal weights; and beside a GPU. Under a time
    limit a trial of a second decides each time: on a busy machine, threads that wait for each other can be ten times
    slower than one.
    """
    if run.settings.evaluations is not None or prepared.accelerator != CPU or ALL_THREADS == 1:
        threads = ALL_THREADS
    else:
        threads = min((1, ALL_THREADS), key=lambda count: _step_s(prepared, count))
    torch.set_num_threads(threads)
    return threads


def _step_s(prepared: Prepared, threads: int) -> float:
    """Median seconds of a training step of a middling network."""
    torch.set_num_threads(threads)
    network = prepared.middling()
    model = build(network).train().to(memory_format=torch.channels_last)
    x = torch.zeros(prepared.recipe.batch_size, *network.input).to(memory_format=torch.channels_last)
    times = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        model(x).square().mean().backward()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
