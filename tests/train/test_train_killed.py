"""Killed and continued equals uninterrupted, bit for bit: at any kind of moment, with workers, in several processes."""

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


DEATHS = {
    (0, 1): [
        Death(step=2, touches=3),
        Death(step=5, later_ms=7.0),
        Death(step=9, touches=2),
        Death(step=12, touches=4),
    ],
    (2, 1): [Death(step=3, later_ms=2.0), Death(step=9, touches=3)],
    (1, 2): [Death(step=3, touches=2), Death(step=9, later_ms=5.0, rank=1)],
}
"""By workers and processes: within steps and within saves, in the first epoch and the second."""
FEW = {(0, 1): DEATHS[0, 1][:2], (2, 1): DEATHS[2, 1][1:], (1, 2): DEATHS[1, 2][1:]}


@pytest.mark.parametrize(
    ("workers", "count", "deaths"),
    [
        *(pytest.param(*where, deaths) for where, deaths in FEW.items()),
        *(pytest.param(*where, deaths, marks=pytest.mark.soak) for where, deaths in DEATHS.items()),
    ],
)
def test_killed_and_continued(
    live: Live, uninterrupted: Callable, tmp_path: Path, workers: int, count: int, deaths: list[Death]
):
    half_written = 0
    for death in deaths:
        assert live(tmp_path, workers=workers, count=count, death=death) == -signal.SIGKILL, f"it died of {death}"
        for unfinished in tmp_path.glob(f".{CHECKPOINT}.*"):
            unfinished.unlink()
            half_written += 1
        if (tmp_path / CHECKPOINT).exists():
            load_checkpoint(tmp_path / CHECKPOINT)  # whole, whatever the moment
    assert half_written >= sum(death.touches > 0 for death in deaths)
    assert live(tmp_path, workers=workers, count=count, death=None) == 0
    whole, continued = uninterrupted(count), trained(tmp_path)
    assert whole.keys() == continued.keys()
    assert [name for name in whole if not torch.equal(whole[name], continued[name])] == []
