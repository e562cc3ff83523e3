"""Batches from worker processes: the same as without, from any step on, to the end of the training."""

import contextlib
import gc
import os
import signal
from pathlib import Path

import pytest
import torch
from processes import send
from train_helpers import quick, same, small_network

from ridgepoint.data import Augmentation, RandAugment
from ridgepoint.train.batches import AugmentedBatches, Batch, TrainingData
from ridgepoint.train.checkpoint import load_checkpoint
from ridgepoint.train.curriculum import Phase
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.resumable import CHECKPOINT
from ridgepoint.train.workers import in_order

RECIPE = quick(
    batch_size=16,
    augmentation=Augmentation(rotate=10.0, policy=RandAugment(magnitude=5)),
    mixing=Mixing(mixup=0.2, cutmix=0.5),
    curriculum=(Phase(start=0.0, resolution=0.5), Phase(start=0.5)),
)
STEPS = 12


def batches_from(data: TrainingData, first: int, workers: int) -> list[Batch]:
    batches = AugmentedBatches(data, RECIPE, num_classes=10, seed=0)
    return list(in_order(batches, first, lambda step: step / STEPS, workers=workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_batches_from_any_step_to_the_end(data: TrainingData, workers: int):
    alone = batches_from(data, 0, 0)
    assert len(alone) == STEPS and {batch.images.shape[-1] for batch in alone} == {8, 16}
    for first in (0, 5):
        helped = batches_from(data, first, workers)
        assert len(helped) == STEPS - first
        for mine, other in zip(alone[first:], helped, strict=True):
            assert torch.equal(mine.images, other.images) and torch.equal(mine.targets, other.targets)
            assert mine.ids == other.ids


def test_a_training_with_workers_is_the_training_without(data: TrainingData):
    given = dict(bound=Bound(epochs=1), seed=3, evaluations=1)
    state = torch.get_rng_state()
    helped = train(small_network(), data, quick(batch_size=128), workers=2, **given)
    torch.set_rng_state(state)
    assert same(helped, train(small_network(), data, quick(batch_size=128), **given))


@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_with_their_training(data: TrainingData, stopped: bool):
    """Not at a garbage collection: that may happen in a worker of the next training, which then waits for strangers."""
    others = children()

    def stop(progress: float, record: dict) -> None:
        if stopped:
            raise KeyboardInterrupt

    given = dict(bound=Bound(epochs=1), seed=3, evaluations=1, workers=1)
    gc.disable()
    try:
        with pytest.raises(KeyboardInterrupt) if stopped else contextlib.nullcontext():
            train(small_network(), data, quick(batch_size=128), on_step=stop, **given)
        assert children() == others
    finally:
        gc.enable()


def test_ctrl_c_stops_at_the_end_of_a_step_and_workers_go_on_until_then(data: TrainingData, tmp_path: Path):
    others = children()  # a browser of other tests

    def struck(progress: float, record: dict) -> None:
        if record["step"] == 3:
            send(signal.SIGINT, [*(children() - others), os.getpid()])  # as a terminal does to all

    given = dict(bound=Bound(epochs=1), seed=3, folder=tmp_path, workers=1)
    with pytest.raises(KeyboardInterrupt):
        train(small_network(), data, quick(), on_step=struck, **given)
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == 4
    assert train(small_network(), data, quick(), **given).steps == 16


@pytest.mark.clock
def test_by_the_clock_workers_are_told_what_was_agreed_on(data: TrainingData, tmp_path: Path):
    done = train(small_network(), data, RECIPE, bound=Bound(seconds=2), seed=3, folder=tmp_path, workers=1)
    sizes = [row["resolution"] for row in load_checkpoint(tmp_path / CHECKPOINT)["rows"]]
    assert sizes[0] == 8 and sizes[-1] == 16
    assert done.seconds == pytest.approx(2, rel=0.5)


def children() -> set[int]:
    """The workers of this process."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    return {int(number) for number in listed.read_text().split()}
