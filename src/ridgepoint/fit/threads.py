"""How many threads train: all cores, unless the machine is busy with something else and fewer are faster."""

import time

import msgspec
import numpy as np
import torch
from torch import Tensor

from ridgepoint.arch.network import Network
from ridgepoint.data import decode
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.nn.build import build
from ridgepoint.run.folder import RunFolder
from ridgepoint.train.accelerator import ALL_THREADS, CPU
from ridgepoint.train.batches import Batch
from ridgepoint.train.freeze import freeze_backbone, keep_statistics
from ridgepoint.train.loop import memory_format
from ridgepoint.train.recipe import Recipe
from ridgepoint.train.step import TrainingStep

STEPS, TRIAL_S = 4, 2.0  # after the first, until so many seconds have gone


def set_training_threads(run: RunFolder[FitSettings], prepared: Prepared) -> int:
    """Choose and set torch's threads; called before the search and before every full training.

    Bounded by count, all threads are used, so that equal requests give equal weights; and beside a GPU. Under a time
    limit a trial of some seconds decides each time: on a busy machine, threads that wait for each other can be ten
    times slower than one.
    """
    if run.settings.evaluations is not None or prepared.accelerator != CPU or ALL_THREADS == 1:
        torch.set_num_threads(ALL_THREADS)
        return ALL_THREADS
    return _fastest(prepared, prepared.middling(), prepared.recipe)[0]


def pace(prepared: Prepared, network: Network, recipe: Recipe) -> float:
    """Seconds of a training step of a network, with as many threads as are fastest, which are set."""
    return _fastest(prepared, network, recipe)[1]


def _fastest(prepared: Prepared, network: Network, recipe: Recipe) -> tuple[int, float]:
    counts = sorted({1, ALL_THREADS}) if prepared.accelerator == CPU else [ALL_THREADS]
    truth = _truth(prepared, network, recipe.batch_size)
    times = {count: _step_s(prepared, network, recipe, truth, count) for count in counts}
    threads = min(times, key=lambda count: times[count])
    torch.set_num_threads(threads)
    return threads, times[threads]


def _truth(prepared: Prepared, network: Network, count: int) -> Tensor:
    """What is known of the first images to learn from, (count, ...); of few images again and again."""
    train = prepared.dataset.train
    first = train.at(np.arange(min(count, len(train))))
    labels = decode(first, prepared.preprocessing_for(network), train=False).labels
    return labels[torch.arange(count) % len(labels)]


def _step_s(prepared: Prepared, network: Network, recipe: Recipe, truth: Tensor, threads: int) -> float:
    """Seconds of the fastest of a few training steps, when all of a network learns: others disturb one, rarely all."""
    torch.set_num_threads(threads)
    accelerator = prepared.accelerator
    recipe = msgspec.structs.replace(recipe, compile=False)  # which takes longer than a trial can save
    model = build(network).train().to(accelerator, memory_format=memory_format(network))  # type: ignore[call-overload]
    if recipe.norm_statistics == "kept":
        keep_statistics(model)
    images = torch.zeros(recipe.batch_size, *network.input, device=accelerator)
    images = images.to(memory_format=memory_format(network))
    batch = Batch(images=images, targets=truth.to(accelerator), ids=())
    loss = prepared.task.loss(recipe)
    learn = TrainingStep(
        model,
        recipe,
        batch_size=len(images),
        freeze=lambda frozen: freeze_backbone(model, frozen),
        accelerator=accelerator,
    )
    times: list[float] = []
    for step in range(STEPS + 1):
        if len(times) > 1 and sum(times) > TRIAL_S:
            break
        started = time.perf_counter()
        learn(step, 1.0, batch, lambda: loss(model, batch))
        times.append(time.perf_counter() - started)
    return min(times[1:])
