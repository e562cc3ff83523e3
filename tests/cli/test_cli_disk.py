"""A full disk and a read-only one: one message, what was saved stays whole, and the run goes on once there is space."""

import json
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli_helpers import FIT, call, fill, mount, refused, run

from ridgepoint.run.folder import LOCK

Disk = Callable[[int], Path]


def check_saved(run_folder: Path) -> None:
    """Everything in a run folder can be read; no half file is left."""
    files = [path for path in run_folder.rglob("*") if path.is_file()]
    for path in files:
        assert path.name == LOCK or not path.name.startswith("."), f"{path} was left behind"
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".pt":
            assert torch.load(path, weights_only=True)["step"] > 0
        elif path.suffix == ".db":
            with sqlite3.connect(path) as database:
                assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_read_only_folder(disk: Disk, finished: Path) -> None:
    place = disk(100)
    (place / "run").mkdir()
    (place / "run" / "settings.json").write_bytes((finished / "settings.json").read_bytes())
    mount(place, "remount,ro")
    refused(
        call(*FIT, "--out", place / "new"), f"{place}/new: cannot be written (Read-only file system)", "give another"
    )
    refused(call(*FIT, "--out", place / "run", "--resume"), "Read-only file system")
    refused(call("show", "mobileone_s0", "--svg", place / "a.svg"), "Read-only file system")
    refused(call("sweep", "mobileone_s0", "--html", place / "a.html"), "Read-only file system")
    refused(call("calibrate", "--table", place / "a.json"), "Read-only file system")


def test_a_disk_that_is_full_at_the_first_write(disk: Disk) -> None:
    place = disk(100)
    filler = fill(place)
    refused(call(*FIT, "--out", place / "run"), "cannot be written (No space left on device)", "Free some space")
    check_saved(place / "run")
    refused(call("sweep", "mobileone_s0", "--html", place / "a.html"), "No space left on device")
    refused(call("show", "mobileone_s0", "--svg", place / "a.svg"), "No space left on device")
    filler.unlink()
    done = call(*FIT, "--out", place / "run", "--resume")
    refused(done, "holds no run to resume")


def test_an_export_that_does_not_fit_names_where_it_was_to_go(disk: Disk, finished: Path) -> None:
    """Not the file that it was copied from, in a folder of the system's that has space."""
    place = disk(8)
    told = call("export", finished, "--out", place / "m.onnx")
    refused(told, f"{place}/m.onnx: cannot be written (No space left on device)", "Free some space")


def test_a_report_that_does_not_fit(disk: Disk, finished: Path) -> None:
    place = disk(6000)
    for name in ("settings.json", "origin.json", "result.json", "architecture.yaml", "study.db"):
        (place / name).write_bytes((finished / name).read_bytes())
    filler = fill(place)
    refused(call("report", place), "No space left on device")
    # A finished run that is asked for again builds its report where there is none.
    told = refused(call(*FIT, "--resume", "--out", place), "No space left on device", "All but the report is done")
    filler.unlink()
    command = shlex.split(told.partition("then: ")[2])
    assert call(*command[1:]).returncode == 0


@pytest.mark.parametrize("part", ["study", "checkpoint", "export"])
def test_a_disk_that_fills_during_the_run(disk: Disk, finished: Path, part: str) -> None:
    """The disk's size decides where in the run it is full; with more space the same command and --resume ends it."""
    size = {path.name: path.stat().st_size // 1024 for path in finished.rglob("*") if path.is_file()}
    searched = size["study.db"] + 60  # and small files, a page each
    trained = searched + size["checkpoint.pt"] + size["best.safetensors"] + size["weights.safetensors"]
    kb = {
        "study": 60,
        "checkpoint": searched + size["checkpoint.pt"] // 2,
        "export": trained + size["model.onnx"] // 2,
    }[part]
    place = disk(kb)
    message = refused(
        run(*FIT, "--out", place / "run"), "No space left on device" if part != "study" else "full", "Free"
    )
    check_saved(place / "run")
    command = message.partition("Go on with: ")[2]
    mount(place, "remount,size=64m")
    done = run(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "run" / "result.json").read_text())["met"]
    assert (place / "run" / "report.html").exists()
    check_saved(place / "run")
