"""Every verb with --json gives one JSON document on stdout and nothing else; pipes may close; help has an example."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import COMMAND, FIT, call, noise, run
from fit_helpers import SPACE_FILE

from ridgepoint.cli.main import app

VERBS = sorted(command.name for command in app.registered_commands)


@pytest.fixture(scope="module")
def words(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, ...]]:
    """One call of every verb that succeeds."""
    folder = tmp_path_factory.mktemp("json")
    noise(0, "L", 8).save(folder / "one.png")
    (training,) = (finished / "trainings").iterdir()
    return {
        "bench": ("mobilenetv3_small_050", "--size", 32, "--rounds", 8, "--busy"),
        "calibrate": ("--model", finished / "architecture.yaml", "--busy"),
        "cost": ("mobileone_s0", "--device", "pixel6-cpu", "--layers"),
        "devices": (),
        "distill": (),
        "eval": (finished, "digits"),
        "export": (training, "--out", folder / "again.onnx"),
        "fit": (*FIT[1:], "--out", finished, "--resume"),
        "models": ("mobilenetv3*",),
        "predict": (finished / "model.onnx", folder / "one.png"),
        "probe": ("--study", "stems", "--rounds", 3, "--busy"),
        "report": (finished,),
        "search": (
            *(SPACE_FILE, "digits", "--method", "random", "--latency", "50ms", "--size", 16, "--evaluations", 1),
            *("--set", "short_epochs=1", "--set", "epochs=1", "--out", folder / "search", "--busy"),
        ),
        "show": ("mobileone_s0",),
        "sweep": ("mobilenetv1_100",),
        "train": (),
        "weights": ("mobilenetv3*",),
        "worker": (f"sqlite:///{folder / 'jobs.db'}", "--idle", "0.1s"),
    }


def test_every_verb_is_tried(words: dict[str, tuple[object, ...]]) -> None:
    assert sorted(words) == VERBS


@pytest.mark.parametrize("verb", sorted({*VERBS} - {"train", "distill"}))  # which have their own tests
def test_one_json_document(verb: str, words: dict[str, tuple[object, ...]]) -> None:
    done = call(verb, *words[verb], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    if verb in ("export", "search"):  # take seconds
        return
    plain = call(verb, *words[verb])
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(plain.stdout)


def test_train_prints_one_json_document(tmp_path: Path) -> None:
    done = run("train", "mobilenetv3_small_050", "digits", "--set", "epochs=1", "--json", "--out", tmp_path / "t")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] > 0


def test_fit_writes_words_to_stderr_alone(finished: Path) -> None:
    document = json.loads((finished.parent / "stdout.txt").read_text())
    assert document == json.loads((finished / "result.json").read_text())
    assert "\nSearch\n" in (finished.parent / "stderr.txt").read_text()
    assert document["met"] is True
    assert document["parity"]["top1_agreement"] == 1.0


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str) -> None:
    for flag in ("--help", "-h"):
        done = call(verb, flag)
        assert done.returncode == 0
        assert f"Example: ridgepoint {verb}" in done.stdout
        assert "--json" in done.stdout


@pytest.mark.parametrize("line", ["sweep '*' --json", "models", "show mobileone_s0", "devices", "sweep --help"])
def test_a_pipe_may_close_early(line: str) -> None:
    command = f"set -o pipefail; {sys.executable} -u -m ridgepoint {line} | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [("show", "mobileone_s0"), ("show", "mobileone_s0", "--json")])
def test_stdout_on_a_full_disk(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ridgepoint: stdout or a file: cannot be read or written (No space left on device)")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_the_terminal_lacks(encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    shown = subprocess.run([*COMMAND, "show", "mobileone_s0"], capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert b"\\u2192 48x112x112" in shown.stdout
    path = tmp_path / "ü→.yaml"
    path.write_text('{name: "ü→", input: [3, 8, 8], stages: [{blocks: [{block: conv, out_channels: 8}]}]}')
    shown = subprocess.run([*COMMAND, "show", path, "--json"], capture_output=True, check=True)
    assert json.loads(shown.stdout)["name"] == "ü→"


def test_without_words_the_help_is_shown() -> None:
    done = run()
    assert done.returncode == 2
    assert "Usage: ridgepoint" in done.stdout + done.stderr
