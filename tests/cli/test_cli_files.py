"""Verbs that read files: predict, eval, report, bench, export with what is missing, broken or somebody else's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from cli_helpers import call, folder_of, noise, refused
from onnx import TensorProto, helper


def foreign(path: Path, shape: tuple[int | str, ...] = (1, 3, 8, 8), kind: int = TensorProto.FLOAT) -> Path:
    """An ONNX file that somebody else exported."""
    values = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "ein bild ü.png"
    noise(0, "L", 8).save(path)
    return path


def test_predict_says_label_and_probability(finished: Path, image: Path) -> None:
    for file in (finished, finished / "model.onnx"):
        done = call("predict", file, image)
        name, share = done.stdout.removeprefix(f"{image}: ").split()
        assert done.returncode == 0
        assert name in "0123456789"
        assert 0.1 <= float(share) <= 1
    (found,) = json.loads(call("predict", finished, image, "--top", 20, "--json").stdout)
    assert sum(row["probability"] for row in found["top"]) == pytest.approx(1, abs=1e-4)
    assert len(found["top"]) == 10


def test_predict_of_images_that_are_none(finished: Path, image: Path, tmp_path: Path) -> None:
    text, half = tmp_path / "text.jpg", tmp_path / "half.jpg"
    text.write_text("hello")
    noise(0, size=64).save(half)
    half.write_bytes(half.read_bytes()[:800])
    refused(call("predict", finished, text), f"cannot read image '{text}': not an image")
    refused(call("predict", finished, half), f"cannot read image '{half}'", "truncated")
    refused(call("predict", finished, tmp_path / "none.png"), "there is no such file")
    refused(call("predict", finished), "Missing argument")


def test_predict_with_files_that_are_no_model(image: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    refused(call("predict", tmp_path / "none.onnx", image), "none.onnx: there is no such file")
    refused(call("predict", tmp_path, image), "holds no model.onnx or model.pt2")
    refused(call("predict", text, image), "ONNX Runtime cannot load it")
    refused(call("predict", foreign(tmp_path / "foreign.onnx"), image), "holds no labels and preprocessing", "wrote")


def test_eval_wants_the_same_classes(finished: Path, tmp_path: Path) -> None:
    data = folder_of(tmp_path / "animals", {"cat": 4, "dog": 4})
    refused(call("eval", finished, data), "has the class 'cat' and 1 more, which the model does not know")
    refused(call("eval", finished, "digits", "--split", "tset"), "--split is 'tset'; did you mean 'test'")
    refused(call("eval", finished, "digits", "--seed", "-1"), "'--seed'")
    refused(call("eval", tmp_path / "none.onnx", "digits"), "there is no such file")
    refused(call("eval", finished, tmp_path / "none"), "there is no such folder")


def test_eval_finds_what_the_run_found(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    document = json.loads(call("eval", finished, "digits", "--json").stdout)
    assert document["accuracy"] == pytest.approx(result["accuracy"]["artefact"])
    assert document["count"] == result["accuracy"]["count"] == 359
    assert (document["split"], document["trained_on_it"]) == ("test", True)
    assert document["recall"].keys() == set("0123456789") and 0 < document["balanced"] <= 1


def test_eval_never_tests_on_what_was_trained_on(finished: Path) -> None:
    refused(call("eval", finished, "digits", "--seed", 1), "drew its parts of digits by seed 0", "Leave --seed out")
    same = [json.loads(call("eval", finished, "digits", *more, "--json").stdout) for more in ([], ["--seed", 0])]
    assert all(each.pop("decoding_ms") > 0 for each in same) and same[0] == same[1]
    for split, count, told in (
        ("val", 359, "choices were made"),
        ("train", 1079, "too high"),
        ("all", 1797, "too high"),
    ):
        found = json.loads(call("eval", finished, "digits", "--split", split, "--json").stdout)
        assert (found["split"], found["count"]) == (split, count) and told in found["note"]


def test_eval_of_other_images_takes_all_of_them(finished: Path, tmp_path: Path) -> None:
    """One class with one image is enough; parts that were never drawn are not drawn."""
    data = folder_of(tmp_path / "mine", {"7": 1, "3": 5}, suffix=".png")
    done = call("eval", finished, data)
    assert done.returncode == 0, done.stderr
    assert "(all, 6 images)" in done.stdout and "Not the images it was trained on: all 6 are evaluated" in done.stdout
    assert "recall (no images)" in done.stdout and "Balanced accuracy" in done.stdout
    refused(call("eval", finished, data, "--seed", 1), "is evaluated whole: nothing is drawn")
    refused(call("eval", finished, data, "--split", "test"), "every class needs at least 3")


def test_eval_of_a_file_that_does_not_say_its_data(finished: Path, tmp_path: Path) -> None:
    model = onnx.load(finished / "model.onnx")
    kept = [entry for entry in model.metadata_props if entry.key != "ridgepoint.trained_on"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "old.onnx")
    document = json.loads(call("eval", tmp_path / "old.onnx", "digits", "--json").stdout)
    assert (document["split"], document["count"], document["trained_on_it"]) == ("test", 359, None)
    assert "does not say what it was trained on" in document["note"]
    assert json.loads(call("eval", tmp_path / "old.onnx", "digits", "--split", "all", "--json").stdout)["count"] == 1797


def test_report_wants_a_finished_run(finished: Path, tmp_path: Path) -> None:
    refused(call("report", tmp_path / "none"), "there is no such folder")
    refused(call("report", tmp_path), "holds no result.json", "--resume")
    broken = Path(shutil.copytree(finished, tmp_path / "broken"))
    (broken / "result.json").write_text("{")
    refused(call("report", broken), "result.json")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path, "there is no such file"),
        (lambda path: path.write_text("hello") and path, "ONNX Runtime cannot load it"),
        (lambda path: foreign(path, (1, 3, "h", "w")), "leaves its input size open"),
        (lambda path: foreign(path, ()), "Allowed: float32 images"),
        (lambda path: foreign(path, (1, 3, 8, 8), TensorProto.INT64), "Allowed: float32 images"),
    ],
)
def test_bench_of_files_that_cannot_be_clocked(make: Callable[[Path], Path], told: str, tmp_path: Path) -> None:
    refused(call("bench", make(tmp_path / "m.onnx"), "--rounds", 8), told)


def test_export_wants_a_training(tmp_path: Path) -> None:
    refused(call("export", tmp_path), "holds no finished training")
    refused(call("export", tmp_path, "--format", "onxx"), "did you mean 'onnx'")
