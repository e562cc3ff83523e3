"""Folders as users have them: what is refused with which words, and odd images and names that must work."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_helpers import TINY, call, folder_of, noise, refused, run


def nothing(root: Path) -> Path:
    return root / "fotos"


def empty(root: Path) -> Path:
    (root / "fotos").mkdir()
    return root / "fotos"


def empty_classes(root: Path) -> Path:
    for name in ("cat", "dog"):
        (root / "fotos" / name).mkdir(parents=True)
    return root / "fotos"


def one_class(root: Path) -> Path:
    return folder_of(root / "fotos", {"cat": 5})


def no_classes(root: Path) -> Path:
    return folder_of(root, {"fotos": 5}) / "fotos"


def lonely(root: Path) -> Path:
    return folder_of(root / "fotos", {"cat": 9, "dog": 1})


def a_file(root: Path) -> Path:
    (root / "fotos.zip").write_bytes(b"PK")
    return root / "fotos.zip"


def bad_text(root: Path) -> Path:
    data = folder_of(root / "fotos", {"cat": 5, "dog": 5})
    (data / "cat" / "notes.jpg").write_text("hello")
    return data


def bad_half(root: Path) -> Path:
    data = folder_of(root / "fotos", {"cat": 5, "dog": 5})
    truncate(data / "dog" / "half.jpg")
    return data


def bad_dot(root: Path) -> Path:
    data = folder_of(root / "fotos", {"cat": 5, "dog": 5})
    noise(0, size=1).save(data / "dog" / "dot.png")
    return data


def truncate(path: Path) -> None:
    noise(7, size=64).save(path)
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (nothing, ("there is no such folder",)),
        (empty, ("holds no images: it has no files", "one folder of images for each class")),
        (empty_classes, ("holds no images",)),
        (one_class, ("has only one class, 'cat'", "At least two class folders are needed")),
        (no_classes, ("holds 5 image(s) but no class folders",)),
        (lonely, ("class 'dog' has 1; every class needs at least 3", "Add images to it, or remove the class")),
        (a_file, ("which is a file. Give a folder",)),
        (bad_text, ("1 of 11 image files", "cannot be used; up to 5% would be skipped", "cat/notes.jpg: not an image")),
        (bad_half, ("1 of 11 image files", "dog/half.jpg: ", "truncated")),
        (bad_dot, ("1 of 11 image files", "dog/dot.png: 1 x 1 px; each side must have at least 4")),
    ],
)
def test_data_that_cannot_be_used(make: Callable[[Path], Path], told: tuple[str, ...], tmp_path: Path) -> None:
    data, out = make(tmp_path), tmp_path / "run"
    refused(call("fit", data, "--latency", "5ms", "--out", out), *told)
    assert not out.exists()


def test_names_in_another_encoding(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "fotos", {"cat": 5, "dog": 5})
    refused(call("fit", data, "--latency", "5ms", "--out", tmp_path / "l\udce4ufe"), "no UTF-8 text. Rename the folder")
    (data / "dog").rename(data / "caf\udce9")
    refused(call("fit", data, "--latency", "5ms", "--out", tmp_path / "run"), "no UTF-8 text, first: 'caf\\udce9'")


def test_a_known_name_that_is_misspelt() -> None:
    refused(call("fit", "digit", "--latency", "5ms"), "did you mean 'digits'")
    refused(call("fit", "", "--latency", "5ms"), "Give a folder of class folders")


def test_a_few_bad_files_are_skipped_and_named_once(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "fotos", {"cat": 30, "dog": 30})
    truncate(data / "cat" / "half.jpg")
    noise(0, size=1).save(data / "dog" / "dot.png")
    (data / "cat" / "notes.jpg").write_text("hello")
    (data / "cat" / "notes.txt").write_text("no image by its name: nothing is said of it")
    done = run("fit", data, "--latency", "50ms", *TINY, "--out", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert sum(result["data"]["counts"].values()) == 60
    assert {line.partition(":")[0] for line in result["data"]["skipped"]} == {
        "cat/half.jpg",
        "cat/notes.jpg",
        "dog/dot.png",
    }
    assert "skipped 3 of 63 image files" in done.stderr
    assert done.stderr.count("\n  cat/half.jpg: ") == 1
    assert "Traceback" not in done.stderr
    assert "notes.txt" not in done.stderr


MODES = {"L": "png", "RGBA": "png", "I;16": "png", "CMYK": "jpg", "P": "gif", "1": "bmp", "LA": "png", "RGB": "webp"}


def test_every_mode_of_image_and_any_letters_in_paths(tmp_path: Path) -> None:
    data = tmp_path / "mes photos d'été" / "bilder 🐈"
    for number, name in enumerate(("chat noir", "Hündin 犬", "a'b;c")):
        (data / name).mkdir(parents=True)
        for index in range(2):
            for mode, suffix in MODES.items():
                file = data / name / f"{mode.replace(';', '-')} ü {index}.{suffix}"
                noise(100 * number + index, mode).save(file)
    out = tmp_path / "läufe 1"
    done = run("fit", data, "--latency", "50ms", *TINY, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["data"]["classes"] == ["a'b;c", "chat noir", "Hündin 犬"]
    assert result["data"]["skipped"] == []
    assert result["met"]
    assert (out / "labels.txt").read_text(encoding="utf-8").splitlines() == result["data"]["classes"]
    images = [file for file in sorted(data.rglob("*")) if file.is_file()]
    assert len(images) == 3 * 2 * len(MODES)
    told = json.loads(call("predict", out / "model.onnx", *images, "--json").stdout)
    assert [row["image"] for row in told] == [str(file) for file in images]
    assert {row["top"][0]["label"] for row in told} <= set(result["data"]["classes"])
    assert json.loads(call("eval", out, data, "--json").stdout)["accuracy"] == result["accuracy"]["artefact"]


def test_predict_answers_the_good_names_the_bad_and_takes_folders(finished: Path, tmp_path: Path):
    model, folder = finished / "model.onnx", tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    (folder / "@eaDir").mkdir()
    for place in (folder / "10.png", folder / "9.png", folder / "a" / "x.png", folder / "@eaDir" / "thumb.png"):
        noise(3).save(place)
    (tmp_path / "cut.png").write_bytes((folder / "9.png").read_bytes()[:-40])
    (tmp_path / "empty").mkdir()
    done = call("predict", model, folder / "9.png", tmp_path / "cut.png", tmp_path / "gone.png", folder)
    assert done.returncode == 2
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        str(folder / name) for name in ("9.png", "9.png", "10.png", "a/x.png")
    ]
    assert "2 of 6 images could not be read: " in done.stderr and "cut.png" in done.stderr and "gone.png" in done.stderr
    told = json.loads(call("predict", model, folder / "9.png", tmp_path / "cut.png", "--json").stdout)
    assert [set(each) for each in told] == [{"image", "top"}, {"image", "error"}]
    refused(call("predict", model, tmp_path / "cut.png"), "cut.png")
    refused(call("predict", model, tmp_path / "empty"), "holds no image files. Known image types: .avif")
