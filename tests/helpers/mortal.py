"""A training whose machine goes down, by SIGKILL, at a moment that it is told; alone or as one of several processes."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch._dynamo  # optimizers load it at their first step, for seconds
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.utils.data._utils import worker
from train_helpers import digits, quick, small_network

from ridgepoint.data import ArraySplit, Augmentation, RandAugment
from ridgepoint.train import resumable
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.processes import joined_by_torchrun
from ridgepoint.train.resumable import CHECKPOINT


def first(split: ArraySplit, count: int) -> ArraySplit:
    return ArraySplit(split.images[:count], split.labels[:count], split.ids[:count])


BATCH, EPOCHS = 32, 2
STEPS = EPOCHS * 8
RECIPE = quick(
    batch_size=BATCH,
    augmentation=Augmentation(crop_scale=(0.8, 1.2), rotate=10.0, policy=RandAugment(magnitude=5)),
    mixing=Mixing(mixup=0.2, cutmix=0.5),
)
"""Everything that draws: crops, policy, mixing, dropout, stochastic depth."""
DATA = replace(digits(), train=first(digits().train, STEPS // EPOCHS * BATCH), val=first(digits().val, BATCH))


@dataclass(frozen=True, kw_only=True)
class Death:
    """After a step: so many milliseconds later; or in a save, which is about to fill, sync or place its checkpoint.

    The moments of a save are counted by `touches` of the file, from 2 to 4; the first one makes it.
    """

    step: int
    later_ms: float = 0.0
    touches: int = 0
    rank: int = 0


def live(folder: Path, *, workers: int, count: int, death: Death | None) -> None:
    """Train in so many processes until the death of one of them, or to the end; exit as a killed process does."""
    torch.set_num_threads(1)
    if count == 1:
        _train(folder, workers, death)
        return
    try:
        torchrun(count, _train, folder, workers, death)
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        peer_noticed = death is not None and "by peer" in str(error)  # before torchrun saw who died
        if first.exitcode != -signal.SIGKILL and not peer_noticed:
            raise
        os.kill(os.getpid(), signal.SIGKILL)


def torchrun(count: int, work: Callable[..., object], *given: object) -> None:
    """What `torchrun --nproc-per-node` does, with forks of this process, which has computed nothing."""
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        max_restarts=0,
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        start_method="fork",
    )
    elastic_launch(settings, work)(*given)


def _train(folder: Path, workers: int, death: Death | None) -> None:
    resumable.SAVE_EVERY_S = 0.1 if death and not death.touches else 0.0
    worker.MP_STATUS_CHECK_INTERVAL = 0.2  # seconds until an orphan sees that it is one; whoever waits, waits for it
    torch.set_num_threads(1)
    with joined_by_torchrun() as processes:
        mine = death is not None and death.rank == processes.rank

        def on_step(progress: float, record: dict) -> None:
            nonlocal mine
            if mine and record["step"] >= death.step:
                mine = False
                _prepare(death)

        train(small_network(), DATA, RECIPE, bound=Bound(epochs=EPOCHS), seed=3, folder=folder, workers=workers,
              on_step=on_step)  # fmt: skip


def _prepare(death: Death) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not death.touches:
        threading.Timer(death.later_ms / 1e3, die).start()
        return
    left = death.touches

    def touched(event: str, given: tuple) -> None:
        nonlocal left
        if event in ("open", "os.rename") and CHECKPOINT in str(given[0]):
            left -= 1
            if left == 0:
                die()

    sys.addaudithook(touched)
