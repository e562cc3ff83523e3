"""`ridgepoint distill` from end to end on the digits, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from cli_helpers import call, folder_of, refused
from safetensors.torch import load_file, save_file

SMALL = """
name: small
input: [1, 16, 16]
num_classes: 10
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 24}]}]
head: {head: pooled, conv_channels: 48}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def teacher(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    done = call("train", small, "digits", "--out", folder, "--set", "epochs=4")
    assert done.returncode == 0, done.stderr
    return folder


def distil(small: Path, teacher: Path, out: Path, *more: object):
    return call("distill", small, "digits", "--teacher", teacher, "--out", out, "--set", "epochs=1", "--json", *more)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_stored_and_online_lessons_end_alike(small: Path, teacher: Path, tmp_path: Path):
    store = tmp_path / "answers"
    stored = distil(small, teacher, tmp_path / "stored", "--topk", 5, "--store", store, "--workers", 1)
    online = distil(small, teacher, tmp_path / "online", "--topk", 5, "--online")
    assert stored.returncode == online.returncode == 0, stored.stderr + online.stderr
    results = [json.loads(done.stdout) for done in (stored, online)]
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert losses(tmp_path / "stored") == losses(tmp_path / "online")
    assert (results[0]["mixture"], results[0]["replicas"]) == ({"D1": 1.0, "D2": 1.0}, 1)
    assert sorted(path.name for path in (store / "D2").glob("[!.]*")) == ["00000-00000.safetensors", "manifest.json"]
    assert not (tmp_path / "online" / "teacher").exists()
    again = distil(small, teacher, tmp_path / "again", "--topk", 5, "--store", store, "--mixture", "D1")
    assert again.returncode == 0, "a student with another mixture shares the store"
    message = refused(
        distil(small, teacher, tmp_path / "no", "--topk", 3, "--store", store), "another number of classes"
    )
    assert "Give another folder with --store" in message


def test_a_run_goes_on_where_it_stopped(small: Path, teacher: Path, tmp_path: Path):
    done = distil(small, teacher, tmp_path / "run", "--mixture", "D2:1")
    again = call("distill", small, "digits", "--teacher", teacher, "--out", tmp_path / "run", "--resume", "--json")
    assert done.returncode == again.returncode == 0, again.stderr
    assert json.loads(done.stdout)["accuracy"] == json.loads(again.stdout)["accuracy"]


def test_another_teacher_is_another_run(small: Path, teacher: Path, tmp_path: Path):
    moved, run = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(teacher, moved)
    assert distil(small, teacher, run, "--mixture", "D2:1", "--online").returncode == 0
    words = ("distill", small, "digits", "--out", run, "--resume", "--teacher")
    assert call(*words, moved).returncode == 0, "the same one at another place"
    weights = moved / "weights.safetensors"
    content = load_file(weights)
    save_file({name: 2 * tensor for name, tensor in content.items()}, weights)
    refused(call(*words, moved), f"teacher '{moved}' is not what it was when the run was begun", "another --out")
    refused(call(*words, "x.onnx"), "x.onnx")
    refused(call("train", small, "digits", "--out", run, "--resume"), "holds a run of `ridgepoint distill`")


def test_stores_do_not_go_among_other_things(small: Path, teacher: Path, tmp_path: Path):
    mine = tmp_path / "mine"
    (mine / "D1").mkdir(parents=True)
    (mine / "thesis.tex").write_text("mine")
    refused(distil(small, teacher, tmp_path / "no", "--store", mine), "holds 'thesis.tex'", "Give one of its own")
    refused(distil(small, teacher, tmp_path / "no", "--store", mine / "thesis.tex"), "is a file", "Give one of its own")
    assert not (tmp_path / "no").exists() and list((mine / "D1").iterdir()) == []


def test_extra_images_are_d3(small: Path, tmp_path: Path):
    photos = folder_of(tmp_path / "photos", {"cat": 12, "dog": 12})
    extra = folder_of(tmp_path / "extra", {"cat": 9, "dog": 6})
    options = ("--size", 16, "--set", "epochs=1", "--set", "batch_size=8")
    assert call("train", small, photos, "--out", tmp_path / "teacher", *options).returncode == 0
    words = ("distill", small, photos, "--teacher", tmp_path / "teacher", "--mixture", "D1:1,D3:2", *options, "--json")
    done = call(*words, "--extra", extra, "--out", tmp_path / "student")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "student" / "teacher" / "D3" / "manifest.json").read_text())
    assert manifest["rows"] == 18, "both classes as often as the larger"
    refused(call(*words, "--out", tmp_path / "no"), "D3 and --extra belong together")
    others = folder_of(tmp_path / "others", {"cat": 9, "fox": 9})
    refused(call(*words, "--extra", others, "--out", tmp_path / "no"), "Give extra images of the same classes")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "options, told",
    [
        (("--mixture", "D1:1,D9:1"), "unknown set 'D9'"),
        (("--temperature", "0"), "temperature is 0.0"),
        (("--hard",), "--hard teaches a second head, and small has one"),
        (("--set", "epochs=0"), "epochs"),
        (("--online", "--workers", "1"), "leave out --workers, or --online"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(small, teacher, tmp_path, options, told):
    refused(distil(small, teacher, tmp_path / "run", *options), told)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused(small: Path, teacher: Path, tmp_path: Path):
    photos = folder_of(tmp_path / "photos", {"cat": 12, "dog": 12})
    words = ("distill", small, photos, "--teacher", teacher, "--out", tmp_path / "run", "--json")
    refused(call(*words), "its 10 classes (0, 1, 2, 3, 4, ...) are not the data's 2 (cat, dog)")
    assert not (tmp_path / "run").exists()
