"""Two processes that train one model, started by torchrun: equal to one process, also when they were killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train_helpers
from train_helpers import SHARED, quick, small_network

from ridgepoint.arch.document import dump_network
from ridgepoint.errors import InputError
from ridgepoint.train.batches import AugmentedBatches, TrainingData
from ridgepoint.train.checkpoint import load_checkpoint
from ridgepoint.train.folder import load_training
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.processes import Processes
from ridgepoint.train.resumable import CHECKPOINT

STEPS = 2 * 16


def start(folder: Path) -> subprocess.Popen:
    """The helper program in two processes, in a session of its own, so that all of them can be killed at once."""
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    return subprocess.Popen(
        [sys.executable, *torchrun, train_helpers.__file__, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        start_new_session=True,
    )


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def killed_after(process: subprocess.Popen, step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= step:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def finished(process: subprocess.Popen) -> None:
    _, told = process.communicate(timeout=200)
    assert process.returncode == 0, told


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


@pytest.mark.slow
def test_two_processes_equal_one(data: TrainingData, tmp_path: Path):
    """32 steps with batch norm, augmentation, EMA and clipping.

    Sums are taken in another order, and steps of training blow up what float32 rounds: losses agree to 1e-5 for ten
    steps, and to 1e-3 for all 32. That the two were killed in between does not show.
    """
    killed_after(start(tmp_path), 3)
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] >= 3
    finished(start(tmp_path))
    (tmp_path / "one").mkdir()
    train(small_network(), data, quick(**SHARED), bound=Bound(epochs=2), seed=3, folder=tmp_path / "one")
    two, one = (
        [row["loss"] for row in load_checkpoint(folder / CHECKPOINT)["rows"]] for folder in (tmp_path, tmp_path / "one")
    )
    assert len(two) == STEPS
    assert two[:10] == pytest.approx(one[:10], abs=1e-5)
    assert two == pytest.approx(one, abs=1e-3)


@pytest.mark.slow
def test_the_command_shares_a_training_where_torchrun_starts_it(tmp_path: Path):
    network = tmp_path / "small.yaml"
    network.write_text(dump_network(small_network()))
    run = tmp_path / "run"
    words = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()), "-m"]
    words += ["ridgepoint", "train", str(network), "digits", "--set", "epochs=1", "--out", str(run), "--json"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((run / "result.json").read_text()) and result["steps"] == STEPS // 2
    assert done.stderr.count("digits: built-in") == 1, "one of them speaks"
    load_training(run)
