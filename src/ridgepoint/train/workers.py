"""Batches in order, made on the spot or ahead by worker processes, while the model learns from the one before."""

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from ridgepoint.errors import InputError
from ridgepoint.system import fork_context
from ridgepoint.train.batches import ALL, Batch, Batches

AHEAD = 2
"""Batches that each worker has ready at most."""


def in_order(
    batches: Batches, first: int, progress_at: Callable[[int], float], *, rows: slice = ALL, workers: int = 0
) -> Generator[Batch, None, None]:
    """The batches, in pixels, of all steps from `first` to the end of the training; its `close` ends the workers.

    A batch follows from its step alone, so workers have no state that a checkpoint would have to hold.

    Args:
        batches: Where they come from; workers get a copy.
        first: The step to begin with.
        progress_at: From a step to the share of the training that is done by then; 1 ends it.
        rows: The part of every batch that is made.
        workers: Processes that make batches; 0 makes each when it is asked for.

    Raises:
        InputError: If this system cannot fork, which workers need.
    """
    asked = _asked(first, progress_at)
    if workers == 0:
        return (batches.seen(*each, rows) for each in asked)
    if (forked := fork_context()) is None:
        raise InputError("this system cannot fork processes. Give --workers 0")
    loader: DataLoader[Batch] = DataLoader(
        _Made(batches, rows),
        sampler=asked,
        batch_size=None,  # what is made is a batch already
        num_workers=workers,
        prefetch_factor=AHEAD,
        multiprocessing_context=forked,
        generator=torch.Generator(),  # not the global one, from which nothing may be taken
    )
    return _of(loader)


def _of(loader: DataLoader[Batch]) -> Generator[Batch, None, None]:
    """What a loader gives; nothing else may hold its iterator, whose workers live as long as it does."""
    yield from loader


def _asked(first: int, progress_at: Callable[[int], float]) -> Iterator[tuple[int, float]]:
    for step in itertools.count(first):
        if (progress := progress_at(step)) >= 1.0:
            return
        yield step, progress


@dataclass(frozen=True)
class _Made(Dataset[Batch]):
    """Batches by step and progress, as a loader asks for them."""

    batches: Batches
    rows: slice

    def __getitem__(self, asked: tuple[int, float]) -> Batch:
        return self.batches.seen(*asked, self.rows)
