"""Ctrl-C: exit 130, a command that goes on, and the same end as without it."""

import json
import shlex
import signal
from importlib import import_module
from pathlib import Path

import pytest
from cli_helpers import FIT, call, run, start, wait_until
from forks import Command
from safetensors.torch import load_file


def interrupt(process: Command, folder: Path) -> str:
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    told = (folder / "stderr.txt").read_text()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert out == ""
    return told.splitlines()[-1]


@pytest.mark.parametrize("phase", [pytest.param("Search", marks=pytest.mark.soak), "Training"])
def test_ctrl_c_saves_and_tells_how_to_go_on(phase: str, tmp_path: Path, finished: Path) -> None:
    process = start(*FIT, "--out", "run", cwd=tmp_path)
    wait_until(lambda: f"\n{phase}\n" in (tmp_path / "stderr.txt").read_text(), process)
    message = interrupt(process, tmp_path)
    assert message.startswith("ridgepoint: stopped after ")
    command = shlex.split(message.partition("Go on with: ")[2])
    assert command[:2] == ["ridgepoint", "fit"]
    assert command[-1] == "--resume"
    assert not (tmp_path / "run" / "result.json").exists()

    done = run(*command[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["met"]
    (theirs,) = finished.glob("trainings/*/weights.safetensors")
    mine, uninterrupted = load_file(tmp_path / "run" / theirs.relative_to(finished)), load_file(theirs)
    assert mine.keys() == uninterrupted.keys()
    assert all(mine[name].equal(tensor) for name, tensor in uninterrupted.items())


def test_ctrl_c_before_there_is_anything_to_save(tmp_path: Path) -> None:
    process = start("bench", "mobilenetv3_small_050", "--rounds", 100000, cwd=tmp_path)
    wait_until(lambda: "Measure" in (tmp_path / "stderr.txt").read_text(), process)
    assert interrupt(process, tmp_path) == "ridgepoint: stopped"


def test_an_interrupted_run_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("ridgepoint.cost.device"), "list_devices", interrupted)
    done = call("devices")
    assert (done.returncode, done.stderr) == (130, "ridgepoint: stopped\n")
