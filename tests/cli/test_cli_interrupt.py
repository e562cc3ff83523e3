"""Ctrl-C: exit 130, a command that goes on, and the same end as without it."""

import json
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from cli_helpers import call, run, start, wait_until
from safetensors.torch import load_file

BOUNDED = ("--evaluations", "2", "--baselines", "0", "--set", "epochs=3", "--set", "short_epochs=2")
FIT = ("fit", "digits", "--latency", "50ms", *BOUNDED)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run(*FIT, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def interrupt(process: subprocess.Popen, folder: Path) -> str:
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    told = (folder / "stderr.txt").read_text()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert out == ""
    return told.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["Search", "Training"])
def test_ctrl_c_saves_and_tells_how_to_go_on(phase: str, tmp_path: Path, uninterrupted: Path) -> None:
    process = start(*FIT, "--out", "run", cwd=tmp_path)
    log, trainings = tmp_path / "stderr.txt", tmp_path / "run" / "trainings"
    wait_until(lambda: f"\n{phase}" in log.read_text(), process)
    if phase == "Training":
        wait_until(lambda: list(trainings.glob("*/checkpoint.pt")), process)
    message = interrupt(process, tmp_path)
    assert message.startswith("ridgepoint: stopped after ")
    command = shlex.split(message.partition("Go on with: ")[2])
    assert command[:2] == ["ridgepoint", "fit"]
    assert command[-1] == "--resume"
    assert not (tmp_path / "run" / "result.json").exists()

    done = run(*command[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["met"]
    # Choices rest on measured latencies, which differ between runs; a network that both trained has the same weights.
    shared = 0
    for path in sorted(uninterrupted.glob("trainings/*/weights.safetensors")):
        mine = tmp_path / "run" / path.relative_to(uninterrupted)
        if (
            not mine.exists()
            or (mine.parent / "architecture.yaml").read_text() != (path.parent / "architecture.yaml").read_text()
        ):
            continue
        ours, theirs = load_file(mine), load_file(path)
        assert all(ours[name].equal(theirs[name]) for name in theirs), path.parent.name
        shared += 1
    assert shared > 0


@pytest.mark.slow
def test_ctrl_c_before_there_is_anything_to_save(tmp_path: Path) -> None:
    process = start("bench", "mobilenetv3_small_050", "--rounds", 100000, cwd=tmp_path)
    wait_until(lambda: "Measure" in (tmp_path / "stderr.txt").read_text(), process)
    assert interrupt(process, tmp_path) == "ridgepoint: stopped"


def test_an_interrupted_run_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(pattern: str = "*") -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("ridgepoint.arch.zoo.list_models", interrupted)
    done = call("models")
    assert (done.returncode, done.stderr) == (130, "ridgepoint: stopped\n")
