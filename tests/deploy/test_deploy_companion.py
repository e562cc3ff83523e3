"""`ridgepoint.json`: what it tells of the artefacts beside it, and what is refused where it does not fit them."""

import json
import shutil
from pathlib import Path

import msgspec
import onnx
import pytest
import torch
from cli_helpers import call, refused
from PIL import Image
from train_helpers import small_network

from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.find import find_artefact
from ridgepoint.distill.teachers import open_teacher
from ridgepoint.errors import InputError

LABELS = tuple(str(digit) for digit in range(10))
DATA = TrainedOn(name="digits", fingerprint="f" * 64, seed=3, counts={"train": 1, "val": 1, "test": 1})


def export(trained, data, path: Path, runtime: str) -> Path:
    about = {"network": small_network(), "preprocessing": data.preprocessing, "labels": LABELS, "trained_on": DATA}
    export_artefact(trained, path, runtime=runtime, **about)
    return path


@pytest.fixture(scope="module")
def once(trained, data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    export(trained, data, folder / "model.onnx", "onnxruntime")
    export(trained, data, folder / "model.pt2", "torch")
    return folder


@pytest.fixture
def both(once: Path, tmp_path: Path) -> Path:
    """A folder with one network as two artefacts."""
    return Path(shutil.copytree(once, tmp_path / "both"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("L", (16, 16), 90).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def test_it_tells_of_every_artefact_of_its_folder(both: Path, data):
    told = json.loads((both / "ridgepoint.json").read_text())["artefacts"]
    assert list(told) == ["model.onnx", "model.pt2"]
    for name, runtime in (("model.onnx", "onnxruntime"), ("model.pt2", "torch")):
        entry = told[name]
        words = (entry["task"], entry["precision"], entry["layout"], entry["runtime"])
        assert words == ("classification", "float32", "nchw", runtime)
        assert tuple(entry["labels"]) == LABELS and entry["trained_on"] == msgspec.to_builtins(DATA)
        assert entry["preprocessing"] == json.loads(data.preprocessing.to_json())
        assert entry["network"] == json.loads(msgspec.json.encode(small_network()))
        assert list(entry["files"]) == [name] and len(entry["files"][name]) == 64


def test_an_onnx_file_holds_the_same_inside(both: Path):
    entry = json.loads((both / "ridgepoint.json").read_text())["artefacts"]["model.onnx"]
    inside = {each.key: each.value for each in onnx.load(both / "model.onnx").metadata_props}
    for name in ("labels", "preprocessing", "network", "trained_on"):
        assert json.loads(inside[f"ridgepoint.{name}"]) == entry[name]
    for name in ("task", "precision", "layout", "version"):
        assert inside[f"ridgepoint.{name}"] == entry[name]


def test_both_are_one_model_for_every_verb(both: Path, image: Path, data):
    files = [both / "model.onnx", both / "model.pt2"]
    assert [find_artefact(file)[1].name for file in files] == ["onnxruntime", "torch"]
    said = [call("predict", file, image).stdout for file in files]
    assert said[0] == said[1] and said[0].startswith(f"{image}: ")
    x = data.preprocessing.normalize(data.val.images[:4])
    onnx_, program = (open_teacher(str(file), LABELS) for file in files)
    assert onnx_.digest != program.digest and program.classes == LABELS
    torch.testing.assert_close(onnx_.forward(x), program.forward(x), rtol=1e-3, atol=1e-4)
    (both / "model.onnx").unlink()
    assert call("predict", both, image).stdout == said[0], "a folder's only artefact is its model"


def test_a_file_is_loaded_in_the_runtime_that_it_was_written_for(both: Path):
    """Several load programs; which one is told beside it, unless the user says another."""
    document = json.loads((both / "ridgepoint.json").read_text())
    document["artefacts"]["model.pt2"]["runtime"] = "torch_compile"
    (both / "ridgepoint.json").write_text(json.dumps(document))
    assert find_artefact(both / "model.pt2")[1].name == "torch_compile"
    assert find_artefact(both / "model.pt2", "torch")[1].name == "torch"
    assert find_artefact(both)[0] == both / "model.onnx", "the default runtime's, of several"
    assert find_artefact(both, "torch")[0] == both / "model.pt2"


def test_a_file_that_is_not_the_one_that_is_told_of_is_refused(both: Path, image: Path):
    """Before anything opens it: what is inside is not asked."""
    for name in ("model.onnx", "model.pt2"):
        path = both / name
        path.write_bytes(path.read_bytes() + b"\0")
        told = f"{name}: it is not what ridgepoint.json beside it tells of: one of the two was changed or replaced"
        refused(call("predict", path, image), told, "or export the model again")


def test_a_part_that_is_lost_or_changed_is_named(both: Path, image: Path, trained, data):
    model = onnx.load(both / "model.onnx")
    onnx.save(model, both / "model.onnx", save_as_external_data=True, location="model.bin")
    document = json.loads((both / "ridgepoint.json").read_text())
    path, weights = both / "model.onnx", both / "model.bin"
    document["artefacts"]["model.onnx"]["files"] = find_artefact(path)[1].hashes(path)
    (both / "ridgepoint.json").write_text(json.dumps(document))
    assert set(document["artefacts"]["model.onnx"]["files"]) == {"model.onnx", "model.bin"}
    assert call("predict", path, image).returncode == 0
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(call("predict", path, image), "its part 'model.bin' is not what ridgepoint.json beside it tells of")
    weights.unlink()
    refused(call("predict", path, image), "model.bin", "beside it")
    weights.write_bytes(content)
    document["artefacts"]["model.onnx"]["files"]["more.bin"] = "0" * 64
    (both / "ridgepoint.json").write_text(json.dumps(document))
    told = "model.onnx: lacks 'more.bin', which ridgepoint.json beside it names as a part of it"
    refused(call("predict", path, image), told, "Fetch or copy all its files")


def test_a_program_alone_or_under_another_name_is_refused(both: Path, image: Path):
    (both / "model.pt2").rename(both / "other.pt2")
    told = "other.pt2: holds no labels and preprocessing, and no ridgepoint.json beside it tells them"
    refused(call("predict", both / "other.pt2", image), told)
    (both / "ridgepoint.json").unlink()
    refused(call("predict", both / "other.pt2", image), told, "with the ridgepoint.json of its folder")
    assert call("predict", both / "model.onnx", image).returncode == 0, "as older versions wrote them"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"artefacts": {"model.pt2": {"labels": 3}}}', '{"artefacts": 1}'])
def test_a_damaged_document_is_told_and_not_overwritten(both: Path, image: Path, trained, data, content: str):
    (both / "ridgepoint.json").write_text(content)
    refused(call("predict", both / "model.pt2", image), "ridgepoint.json: is damaged, or no file of ridgepoint's")
    with pytest.raises(InputError, match=r"ridgepoint\.json: is damaged.*Remove it"):
        export(trained, data, both / "model.pt2", "torch")
    assert (both / "ridgepoint.json").read_text() == content


def test_what_is_gone_is_no_longer_told_of(both: Path, trained, data):
    (both / "model.onnx").unlink()
    export(trained, data, both / "model.pt2", "torch")
    assert list(json.loads((both / "ridgepoint.json").read_text())["artefacts"]) == ["model.pt2"]
    assert load_artefact(both / "model.pt2").trained_on == DATA


def test_a_runtime_that_is_named_must_load_it(both: Path, image: Path):
    refused(
        call("predict", both / "model.pt2", image, "--runtime", "onnxruntime"),
        "runtime 'onnxruntime' loads .onnx files. Allowed: torch, torch_compile",
    )


def test_a_run_s_folder_is_clocked_by_the_file_that_it_holds(both: Path, tmp_path: Path):
    done = call("bench", both, "--rounds", 8, "--busy", "--json")
    assert [row["latency"]["runtime"] for row in json.loads(done.stdout)["rows"]] == ["onnxruntime"], done.stderr
    refused(call("bench", tmp_path), "holds no model.onnx or", "the folder of a run")


def test_a_time_and_a_score_are_of_the_precision_that_it_tells(both: Path):
    """ONNX Runtime alone tells of a loaded file that it is in int8; times of others were called float32."""
    document = json.loads((both / "ridgepoint.json").read_text())
    document["artefacts"]["model.pt2"]["precision"] = "int8"
    (both / "ridgepoint.json").write_text(json.dumps(document))
    done = call("bench", both / "model.pt2", both / "model.onnx", "--busy", "--json")
    told = {row["latency"]["runtime"]: row["latency"]["precision"] for row in json.loads(done.stdout)["rows"]}
    assert told == {"torch": "int8", "onnxruntime": "float32"}
    assert json.loads(call("eval", both / "model.pt2", "digits", "--json").stdout)["precision"] == "int8"
