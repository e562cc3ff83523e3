"""What a verb sets for the whole process is put back: a notebook goes on as it was."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from cli_helpers import call

import ridgepoint as rp
from ridgepoint.display import Silent
from ridgepoint.errors import InputError, InterruptedRun, NotMetError
from ridgepoint.run.process import as_found
from ridgepoint.run.settings import request
from ridgepoint.search.study import Study
from ridgepoint.tasks.reading import read
from ridgepoint.train.run import run_training
from ridgepoint.train.settings import TrainSettings

NETWORK = """
name: small
input: [1, 8, 8]
num_classes: 10
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, out_channels: 8}]}]
"""
SPACE = NETWORK.replace("num_classes: 10\n", "").replace("out_channels: 8}]\n", "out_channels: {choice: [8, 16]}}]\n")


def state() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "random": torch.get_rng_state().tolist(),
        "optuna": optuna.logging.get_verbosity(),
        "loggers": [logging.getLogger(name).level for name in ("torch", "torch.onnx", "onnxscript", "optuna")],
        "collecting": gc.isenabled(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
    }


@pytest.fixture(params=["usual", "unusual"])
def before(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """The state of a caller: as a process begins, or with everything otherwise."""
    with as_found():
        unusual = request.param == "unusual"
        torch.set_num_threads(3 if unusual else 1)
        torch.use_deterministic_algorithms(unusual, warn_only=False)
        torch.manual_seed(7)
        optuna.logging.set_verbosity(optuna.logging.DEBUG if unusual else optuna.logging.INFO)
        try:
            if unusual:
                gc.disable()
                os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
            yield state()
        finally:
            gc.enable()


def change_everything() -> None:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(1)
    Study()
    gc.disable() if gc.isenabled() else gc.enable()
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["RIDGEPOINT_TEST"] = "1"
    os.environ.pop("PATH")


@pytest.mark.parametrize("ending", [None, ZeroDivisionError, KeyboardInterrupt])
def test_everything_is_put_back_however_it_ends(before: dict[str, object], ending: type[BaseException] | None):
    @as_found()
    def verb() -> None:
        change_everything()
        assert all(
            state()[name] != before[name] for name in ("threads", "random", "optuna", "collecting", "environment")
        )
        if ending:
            raise ending

    try:
        verb()
    except (ZeroDivisionError, KeyboardInterrupt) as error:
        assert type(error) is ending
    assert state() == before


class Impatient(Silent):
    """Stops a run where a phase begins."""

    def __init__(self, title: str):
        self.title = title

    def phase(self, title: str):
        if title == self.title:
            raise KeyboardInterrupt
        return super().phase(title)


def test_a_training_leaves_the_process_as_it_was(before: dict[str, object], tmp_path: Path):
    (tmp_path / "small.yaml").write_text(NETWORK)
    given = {"model": str(tmp_path / "small.yaml"), "data": "digits", "changes": {"epochs": 1}}
    settings = request(TrainSettings, "train", given)
    seen: list[bool] = []

    class Watching(Silent):
        def progress(self, share: float, text: str) -> None:
            seen.append(torch.are_deterministic_algorithms_enabled())

    run_training(settings, read=read, out=tmp_path / "run", resume=False, display=Watching())
    assert state() == before and all(seen) and seen, "while it trains, algorithms are deterministic"
    with pytest.raises(InputError):
        absent = request(TrainSettings, "train", given | {"data": "absent"})
        run_training(absent, read=read, out=None, resume=False, display=Silent())
    assert state() == before
    with pytest.raises(InterruptedRun):
        run_training(settings, read=read, out=tmp_path / "other", resume=False, display=Impatient("Training"))
    assert state() == before


def test_a_fit_leaves_the_process_as_it_was(before: dict[str, object], tmp_path: Path):
    (tmp_path / "space.yaml").write_text(SPACE)
    asked = {"space": str(tmp_path / "space.yaml"), "table": str(tmp_path / "table.json"), "evaluations": 1}
    asked |= {"baselines": 0, "busy": True, "changes": {"epochs": 1, "short_epochs": 1}}
    with pytest.raises(NotMetError):
        rp.fit("digits", latency_ms=1e-9, out=tmp_path / "missed", **asked)
    assert state() == before
    with pytest.raises(InterruptedRun):
        rp.fit("digits", latency_ms=50, out=tmp_path / "stopped", display=Impatient("Training"), **asked)
    assert state() == before
    assert rp.fit("digits", latency_ms=50, out=tmp_path / "stopped", resume=True, **asked)["met"]
    assert state() == before


def test_a_command_in_this_process_leaves_it_as_it_was(before: dict[str, object], tmp_path: Path):
    (tmp_path / "small.yaml").write_text(NETWORK)
    words = ("train", tmp_path / "small.yaml", "digits", "--set", "epochs=1", "--out", tmp_path / "run")
    assert call(*words).returncode == 0
    assert state() == before
