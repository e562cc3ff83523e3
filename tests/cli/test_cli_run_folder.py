"""Run folders that exist, are missing, are finished or were begun otherwise; exit 3 where the budget was missed."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from cli_helpers import FIT, call, refused


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_an_existing_run_is_not_written_over(copy: Path) -> None:
    before = (copy / "result.json").read_bytes()
    refused(call(*FIT, "--out", copy), "holds a run already. Give --resume to go on with it, or another folder")
    assert (copy / "result.json").read_bytes() == before


def test_an_existing_folder_or_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    refused(call(*FIT, "--out", tmp_path), "exists and is not empty. Give a new folder with --out")
    refused(call(*FIT, "--out", tmp_path / "mine.txt"), "exists and is a file. Give a new folder with --out")
    refused(call(*FIT, "--out", tmp_path / "mine.txt" / "run"), "cannot be written", "give another place")
    refused(call(*FIT, "--out", tmp_path / ("x" * 300)), "name too long")
    assert (tmp_path / "mine.txt").read_text() == "mine" and sorted(tmp_path.iterdir()) == before


def test_resume_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(call(*FIT, "--resume"), "no unfinished run under runs/fit was asked the same", "--resume --out FOLDER")
    refused(call(*FIT, "--resume", "--out", tmp_path), "holds no run to resume (no settings.json)")
    refused(call(*FIT, "--resume", "--out", tmp_path / "none"), "holds no run to resume")
    assert list(tmp_path.iterdir()) == []


def test_resume_of_a_finished_run_says_so_and_shows_it(finished: Path) -> None:
    done = call(*FIT, "--resume", "--out", finished)
    assert done.returncode == 0, done.stderr
    assert "is finished already" in done.stderr
    assert "Meets 50 ms" in done.stdout
    document = json.loads(call(*FIT, "--resume", "--out", finished, "--json").stdout)
    assert document == json.loads((finished / "result.json").read_text())


def test_resume_keeps_what_the_run_was_begun_with(finished: Path) -> None:
    short = ("fit", "digits", "--latency", "50ms", "--resume", "--out", finished)
    assert call(*short).returncode == 0, "what is left out is as it was"
    told = refused(call(*short, "--evaluations", "7"), "was begun with evaluations 1, not 7", "another --out")
    command = told[told.index("ridgepoint fit") : told.index(", or start")]
    assert call(*shlex.split(command)[1:]).returncode == 0
    refused(call("fit", "digits", "--latency", "6ms", "--resume", "--out", finished), "latency_ms 50.0, not 6.0")
    refused(call("fit", "nowhere", "--latency", "50ms", "--resume", "--out", finished), "nowhere")


def test_a_run_that_was_moved_tells_where_it_is_now(copy: Path) -> None:
    (copy / "report.html").unlink()
    document = json.loads(call(*FIT, "--resume", "--out", copy, "--json").stdout)
    for name in ("architecture", "artefact", "labels", "report"):
        assert Path(document[name]).parent == copy
        assert Path(document[name]).is_file()


@pytest.mark.parametrize("ms", [0.1, 1 / 3, 5.0, 123.456789012345])
def test_the_command_that_reproduces_asks_for_the_same(ms: float) -> None:
    from ridgepoint.fit.settings import make_settings
    from ridgepoint.train.recipe import parse_changes
    from ridgepoint.units import parse_quantity

    changes = {"lr": 1e-5, "clip_norm": None, "optimizer": "sgd", "epochs": 3}
    settings = make_settings(data="mes photos d'été", latency_ms=ms, time_s=ms, changes=changes)
    words = shlex.split(settings.command(out="a b"))
    assert words[2] == settings.data
    assert parse_quantity(words[words.index("--latency") + 1], what="--latency", unit="ms") == ms
    assert parse_quantity(words[words.index("--time") + 1], what="--time", unit="s") == ms
    given = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    assert parse_changes(given) == changes


def test_exit_3_where_the_budget_was_missed(copy: Path) -> None:
    result = json.loads((copy / "result.json").read_text())
    missed = {"met": False, "latency": result["latency"] | {"ms": 60.0, "p90_ms": 61.0}}
    (copy / "result.json").write_text(json.dumps(result | missed))
    done = call(*FIT, "--resume", "--out", copy)
    assert done.returncode == 3
    assert "Misses 50 ms" in done.stdout
    assert json.loads(call(*FIT, "--resume", "--out", copy, "--json").stdout)["met"] is False


@pytest.mark.parametrize("name", ["settings.json", "result.json"])
def test_a_file_of_the_run_that_was_damaged(copy: Path, name: str) -> None:
    (copy / name).write_text('{"half')
    refused(call(*FIT, "--resume", "--out", copy), str(copy), "Start anew with another --out")
