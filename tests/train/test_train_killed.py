"""Killed at ten moments and continued equals uninterrupted, bit for bit: however many workers and processes."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

import mortal
import pytest
import torch
from forks import forks
from mortal import STEPS, Death

from ridgepoint.train.checkpoint import load_checkpoint
from ridgepoint.train.resumable import CHECKPOINT

SAVING = 6
"""Deaths, of the ten, while a checkpoint is written."""

Live = Callable[..., int]


@pytest.fixture(scope="module")
def live() -> Live:
    """One life in a process of its own, which is quick to start: torch is there already. Returns its exit code."""

    def lived(folder: Path, *, workers: int, count: int, death: Death | None) -> int:
        given = {"workers": workers, "count": count, "death": death}
        process = forks().Process(target=mortal.live, args=(folder,), kwargs=given)
        process.start()
        process.join(120)
        assert process.exitcode is not None, "it hangs"
        return process.exitcode

    return lived


@pytest.fixture(scope="module")
def uninterrupted(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, torch.Tensor]]:
    """Without workers, by number of processes, which decides in what order sums are taken."""
    found: dict[int, dict[str, torch.Tensor]] = {}

    def weights(count: int) -> dict[str, torch.Tensor]:
        if count not in found:
            folder = tmp_path_factory.mktemp("whole")
            assert live(folder, workers=0, count=count, death=None) == 0
            found[count] = trained(folder)
        return found[count]

    return weights


def trained(folder: Path) -> dict[str, torch.Tensor]:
    """Weights, statistics and their averages at the end."""
    state = load_checkpoint(folder / CHECKPOINT)
    assert state["step"] == STEPS and state["finished"]
    return state["model"] | {f"averaged.{name}": value for name, value in state["averaged"].items()}


def ten_deaths(rng: random.Random, count: int) -> list[Death]:
    """At ten random steps, mid-epoch too, in random order of kind; only the first process saves."""
    kinds = rng.sample([True] * SAVING + [False] * (10 - SAVING), 10)
    return [
        Death(step=step, touches=rng.randint(2, 4))
        if saving
        else Death(step=step, later_ms=rng.uniform(0, 15), rank=rng.randrange(count))
        for step, saving in zip(sorted(rng.sample(range(1, STEPS - 3), 10)), kinds, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "count"), [(0, 1), (1, 1), (2, 1), (1, 2)])
def test_killed_at_ten_moments_and_continued(
    live: Live, uninterrupted: Callable, tmp_path: Path, workers: int, count: int
):
    half_written = 0
    for death in ten_deaths(random.Random(10 * workers + count), count):
        assert live(tmp_path, workers=workers, count=count, death=death) == -signal.SIGKILL, f"it died of {death}"
        for unfinished in tmp_path.glob(f".{CHECKPOINT}.*"):
            unfinished.unlink()
            half_written += 1
        if (tmp_path / CHECKPOINT).exists():
            load_checkpoint(tmp_path / CHECKPOINT)  # whole, whatever the moment
    assert half_written >= SAVING
    assert live(tmp_path, workers=workers, count=count, death=None) == 0
    whole, continued = uninterrupted(count), trained(tmp_path)
    assert whole.keys() == continued.keys()
    assert [name for name in whole if not torch.equal(whole[name], continued[name])] == []
