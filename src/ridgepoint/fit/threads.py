"""How many threads train: all cores, unless the machine is busy with something else and fewer are faster."""

import statistics
import time

import msgspec
import torch

from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.nn.build import build
from ridgepoint.run.folder import RunFolder
from ridgepoint.train.accelerator import ALL_THREADS, CPU
from ridgepoint.train.batches import Batch, cross_entropy
from ridgepoint.train.freeze import freeze_backbone
from ridgepoint.train.loop import memory_format
from ridgepoint.train.step import TrainingStep

STEPS = 4


def set_training_threads(run: RunFolder[FitSettings], prepared: Prepared) -> int:
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
    """Median seconds of a training step of a middling network, when all of it learns."""
    torch.set_num_threads(threads)
    network = prepared.middling()
    recipe = msgspec.structs.replace(prepared.recipe, compile=False)  # which takes longer than a trial can save
    model = build(network).train().to(memory_format=memory_format(network))
    images = torch.zeros(recipe.batch_size, *network.input).to(memory_format=memory_format(network))
    batch = Batch(images=images, targets=torch.zeros(len(images), dtype=torch.long), ids=())
    loss = cross_entropy(recipe.label_smoothing)
    learn = TrainingStep(model, recipe, batch_size=len(images), freeze=lambda frozen: freeze_backbone(model, frozen))
    times = []
    for step in range(STEPS + 1):
        started = time.perf_counter()
        learn(step, 1.0, batch, lambda: loss(model, batch))
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
