"""`train --resume`: what was begun goes on; other wishes, data, networks, weights and recipes are refused by field."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from cli_helpers import call, folder_of, refused, start, wait_until
from safetensors.torch import load_file, save_file
from test_cli_distill import SMALL

TINY = ("--size", 16, "--set", "epochs=1", "--set", "batch_size=8", "--seed", 9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, a network, and a finished training of it, started from weights, by a recipe of one's own."""
    folder = tmp_path_factory.mktemp("made") / "place"
    photos, small = folder_of(folder / "photos", {"cat": 12, "dog": 12}, suffix=".png"), folder / "small.yaml"
    base, recipe, start = folder / "base", folder / "mine.yaml", folder / "start.safetensors"
    small.write_text(SMALL)
    assert call("train", small, photos, *TINY, "--out", base).returncode == 0
    recipe.write_text(yaml.safe_dump(json.loads((base / "result.json").read_text())["recipe"]))
    shutil.copy(base / "weights.safetensors", start)
    done = call("train", small, photos, *TINY, "--weights", start, "--recipe", recipe, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder, folder.with_name("copy"))
    return folder


@pytest.fixture
def place(made: Path) -> Path:
    """The same at the same place, whatever a test before did to it."""
    shutil.rmtree(made)
    return Path(shutil.copytree(made.with_name("copy"), made))


@pytest.fixture
def photos(place: Path) -> Path:
    return place / "photos"


@pytest.fixture
def small(place: Path) -> Path:
    return place / "small.yaml"


@pytest.fixture
def begun(place: Path) -> Path:
    """The finished training."""
    return place / "run"


def rename_class(photos: Path) -> None:
    (photos / "cat").rename(photos / "zebra")


def add_images(photos: Path) -> None:
    for index in range(10):
        shutil.copy(photos / "cat" / "00.png", photos / "cat" / f"more-{index}.png")


def change_activation(photos: Path) -> None:
    network = yaml.safe_load(SMALL)
    (photos.parent / "small.yaml").write_text(yaml.safe_dump(network | {"conventions": {"activation": "hard_swish"}}))


def change_weights(photos: Path) -> None:
    path = photos.parent / "start.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(path).items()}, path)


def change_recipe(photos: Path) -> None:
    path = photos.parent / "mine.yaml"
    path.write_text(path.read_text().replace("label_smoothing: ", "label_smoothing: 0.5 # "))


CHANGES = {
    rename_class: "data",
    add_images: "data",
    change_activation: "model",
    change_weights: "weights",
    change_recipe: "recipe",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_other_content_at_the_same_place_is_refused(begun: Path, small: Path, photos: Path, change):
    before = {path.name: path.read_bytes() for path in begun.glob("*.*")}
    change(photos)
    words = ("train", small, photos, "--out", begun, "--resume")
    refused(call(*words), f"{CHANGES[change]} ", "is not what it was when the run was begun", "another --out")
    assert {path.name: path.read_bytes() for path in begun.glob("*.*")} == before


def test_what_was_moved_goes_on(begun: Path, small: Path, photos: Path, place: Path, tmp_path: Path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (photos, small, place / "start.safetensors", place / "mine.yaml"):
        shutil.move(path, moved / path.name)
    refused(call("train", small, photos, "--out", begun, "--resume"), "small.yaml")
    words = ("--weights", moved / "start.safetensors", "--recipe", moved / "mine.yaml")
    done = call("train", moved / "small.yaml", moved / "photos", *words, "--out", begun, "--resume")
    assert done.returncode == 0 and "is finished already" in done.stderr
    settings = json.loads((begun / "settings.json").read_text())
    assert settings["data"] == str(moved / "photos") and settings["seed"] == 9


@pytest.mark.parametrize("more", [("--seed", 0), ("--set", "epochs=2"), ("--time", "5s"), ("--size", 24)])
def test_other_wishes_are_refused_with_the_command_that_goes_on(begun: Path, small: Path, photos: Path, more: tuple):
    told = refused(call("train", small, photos, "--out", begun, "--resume", *more), "was begun with", "another --out")
    words = shlex.split(told[told.index("ridgepoint train") : told.index(", or start")])
    assert call(*words[1:]).returncode == 0


def test_a_start_that_failed_does_not_block_its_folder(small: Path, photos: Path, tmp_path: Path):
    words = ("train", small, photos, *TINY, "--out", tmp_path / "run")
    (tmp_path / "bad.pth").write_text("bad")
    refused(call(*words, "--weights", tmp_path / "bad.pth"), "bad.pth")
    assert not (tmp_path / "run").exists()
    save_file({"stem.0.conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    refused(call(*words, "--weights", tmp_path / "other.safetensors"), "other.safetensors")
    assert call(*words).returncode == 0


VERBS = {
    "fit": ("fit", "digits", "--latency", "1ms"),
    "search": ("search", "mobilenetv4_conv_32px", "digits", "--latency", "1ms", "--method", "random"),
    "train": ("train", "mobilenetv4_conv_small", "digits"),
    "distill": ("distill", "mobilenetv4_conv_small", "digits", "--teacher", "mobilenetv4_conv_small@w.safetensors"),
}


@pytest.mark.parametrize("resume", [(), ("--resume",)], ids=["anew", "resumed"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_at_which_another_process_is_at_work_is_refused_by_every_verb(
    verb: str, resume: tuple[str, ...], tmp_path: Path
):
    folder = tmp_path / "run"
    folder.mkdir()
    if resume:
        asked = {
            "model": "mobilenetv4_conv_small",
            "teacher": "t",
            "data": "digits",
            "latency_ms": 1.0,
            "space": "mobilenetv4_conv_32px",
        }
        kind = {"train": ("model", "data"), "distill": ("model", "data", "teacher")}.get(verb, ("data", "latency_ms"))
        (folder / "settings.json").write_text(json.dumps({"verb": verb} | {key: asked[key] for key in kind}))
    program = (
        "import sys; from pathlib import Path; from ridgepoint.locks import owning; path = Path(sys.argv[1]);"
        "owned = owning(path / '.lock', what=path, otherwise=''); owned.__enter__(); print('mine', flush=True); input()"
    )
    arguments = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        refused(
            call(*VERBS[verb], *resume, "--out", folder), f"process {other.pid} is at work on it. Wait until it ends"
        )
        other.communicate("\n")


def test_the_second_of_two_processes_is_refused(small: Path, photos: Path, place: Path, tmp_path: Path):
    words = ("train", small, photos, *TINY[2:], "--size", 32, "--set", "epochs=100000", "--out", tmp_path / "run")
    process = start(*words, cwd=tmp_path, changes={"ridgepoint.train.resumable.SAVE_EVERY_S": 0.0})
    try:
        wait_until((tmp_path / "run" / "metrics.jsonl").exists, process)
        refused(call(*words), "holds a run already. Give --resume to go on with it, or another folder")
        at_work = f"process {process.pid} is at work on it. Wait until it ends, or give"
        refused(call(*words, "--resume"), at_work)
        finished = tmp_path / "run" / "trainings" / "one"  # as of a fit that goes on
        shutil.copytree(place / "base", finished)
        refused(call("export", finished), at_work, "a place outside with --out")
        assert call("export", finished, "--out", tmp_path / "model.onnx").returncode == 0
        refused(call("report", finished), at_work)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
