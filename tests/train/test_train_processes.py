"""Two processes that train one model, as torchrun starts them: equal to one process."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forks import forks
from mortal import BATCH, DATA, torchrun
from train_helpers import quick, small_network

from ridgepoint.arch.document import dump_network
from ridgepoint.cli.main import main
from ridgepoint.errors import InputError
from ridgepoint.train.batches import AugmentedBatches, TrainingData
from ridgepoint.train.checkpoint import load_checkpoint
from ridgepoint.train.folder import load_training
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.optimizer import SGD
from ridgepoint.train.processes import Processes, joined_by_torchrun
from ridgepoint.train.resumable import CHECKPOINT

STEPS = 2 * 8
SHARED = {"batch_size": BATCH, "optimizer": SGD(lr=0.1), "dropout": 0.0, "stochastic_depth": 0.0}
"""Each process draws its own dropout, and Adam makes much of gradients that are but rounding."""


def in_two_processes(work: Callable[..., None], *given: object) -> None:
    """Run it as torchrun would, from a process that has computed nothing."""
    process = forks().Process(target=torchrun, args=(2, work, *given))
    process.start()
    process.join(120)
    assert process.exitcode == 0


def train_digits(folder: Path) -> None:
    torch.set_num_threads(1)
    with joined_by_torchrun():
        train(small_network(), DATA, quick(**SHARED), bound=Bound(epochs=2), seed=3, folder=folder)


def command(folder: Path, *words: str) -> None:
    """The command, which writes into the folder what it says."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    sys.argv = ["ridgepoint", *words]
    main()


def test_shares_are_the_whole_batch(data: TrainingData):
    """Mixed pairs too, whose partner may be another process's."""
    for mixing in (Mixing(), Mixing(mixup=0.5, cutmix=0.5)):
        batches = AugmentedBatches(data, quick(mixing=mixing), num_classes=10, seed=0)
        whole = batches.seen(0, 0.0)
        shares = [batches.seen(0, 0.0, Processes(rank=rank, count=4).rows(64)) for rank in range(4)]
        assert [name for share in shares for name in share.ids] == list(whole.ids)
        assert torch.equal(torch.cat([share.images for share in shares]), whole.images)
        assert torch.equal(torch.cat([share.targets for share in shares]), whole.targets)
    with pytest.raises(InputError, match=r"64 images cannot be divided between 3 processes. Give --set batch_size=63"):
        Processes(count=3).rows(64)


def test_two_processes_equal_one(tmp_path: Path):
    """16 steps with batch norm, augmentation, EMA and clipping.

    Sums are taken in another order, and steps of training blow up what float32 rounds: losses agree to 1e-5 for ten
    steps, and to 1e-4 for all 16.
    """
    in_two_processes(train_digits, tmp_path)
    (tmp_path / "one").mkdir()
    train_digits(tmp_path / "one")
    two, one = (
        [row["loss"] for row in load_checkpoint(folder / CHECKPOINT)["rows"]] for folder in (tmp_path, tmp_path / "one")
    )
    assert len(two) == STEPS and two != one
    assert two[:10] == pytest.approx(one[:10], abs=1e-5)
    assert two == pytest.approx(one, abs=1e-4)


def test_the_command_shares_a_training_where_torchrun_starts_it(tmp_path: Path):
    network, run = tmp_path / "small.yaml", tmp_path / "run"
    network.write_text(dump_network(small_network()))
    words = ("train", str(network), "digits", "--set", "epochs=1", "--out", str(run), "--json")
    in_two_processes(command, tmp_path, *words)
    result = json.loads((tmp_path / "out").read_text())
    assert result == json.loads((run / "result.json").read_text()) and result["steps"] == 16
    assert (tmp_path / "err").read_text().count("digits: built-in") == 1, "one of them speaks"
    load_training(run)
