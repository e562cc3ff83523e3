"""Code for apps: it runs, without ridgepoint, and says what ridgepoint says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from train_helpers import small_network

from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.report.snippets import LANGUAGES, snippets
from ridgepoint.tasks.predict import predict

FILES = {
    "model.onnx": "onnxruntime",
    "model.pt2": "torch",
    "model.xml": "openvino",
    "model.tflite": "litert",
    "model.pte": "executorch",
    "model.param": "ncnn",
}
LABELS = ("circle", 'it\'s a "square"', "star & moon", "dreieck ä")
COLOUR = Preprocessing(
    height=64, width=64, channels=3, resize=73, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
GREY = Preprocessing(height=64, width=64, channels=1, resize=64, interpolation="bicubic", mean=(0.4,), std=(0.3,))


def code(preprocessing: Preprocessing, language: str, file: str = "model.onnx") -> str:
    found = snippets(json.loads(preprocessing.to_json()), file=file)
    return next(each.code for each in found if each.key == language)


def make_app(folder: Path, preprocessing: Preprocessing, file: str, runtime: str) -> None:
    """An exported network, its labels and photographs of several shapes and modes."""
    network = small_network().at(height=64, channels=preprocessing.channels).with_classes(len(LABELS))
    about = {"network": network, "preprocessing": preprocessing, "labels": LABELS, "runtime": runtime}
    export_artefact(build(network).eval(), folder / file, **about)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    rng = np.random.default_rng(0)
    for name, mode, size in (
        ("wide.png", "RGB", (200, 90)),
        ("tall.jpg", "L", (40, 130)),
        ("clear.png", "RGBA", (80, 80)),
    ):
        pixels = Image.fromarray(rng.integers(0, 256, (9, 9, 4), np.uint8), "RGBA")
        pixels.resize(size, Image.Resampling.BICUBIC).convert(mode).save(folder / name)


@pytest.mark.parametrize(("preprocessing", "file"), [(COLOUR, "model.onnx"), *((GREY, file) for file in FILES)])
def test_the_python_code_says_what_ridgepoint_says(preprocessing: Preprocessing, file: str, tmp_path: Path) -> None:
    folder, runtime = tmp_path, FILES[file]
    try:
        make_app(folder, preprocessing, file, runtime)
    except InputError:
        pytest.skip(f"{runtime}, or what writes its files, is not installed")
    unneeded = "onnxruntime" if "torch" in runtime else "torch"
    (folder / "app.py").write_text(code(preprocessing, "python", file), encoding="utf-8")
    photos = ["wide.png", "tall.jpg", "clear.png"]
    blocked = f"import sys; sys.modules['ridgepoint'] = sys.modules['{unneeded}'] = None; "
    run = f"{blocked}sys.argv = {['app.py', *photos]!r}; exec(compile(open('app.py').read(), 'app.py', 'exec'))"
    done = subprocess.run([sys.executable, "-c", run], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    artefact = load_artefact(folder / file)
    for photo, line in zip(photos, done.stdout.splitlines(), strict=True):
        (best,) = predict(artefact, folder / photo).document["top"]
        said, _, probability = line.rpartition(" ")
        assert said == f"{photo}: {best['label']}"
        assert float(probability) == pytest.approx(best["probability"], abs=6e-5), "rounded to four places"


@pytest.mark.skipif(shutil.which("node") is None, reason="no node: the JavaScript is NOT run")
@pytest.mark.parametrize("preprocessing", [COLOUR, GREY], ids=["colour", "grey"])
def test_the_javascript_makes_the_same_input_and_answer(preprocessing: Preprocessing, tmp_path: Path) -> None:
    """In node, with a stand-in for the runtime that hands the input back: the pixels, the order, the softmax."""
    folder = tmp_path
    script = code(preprocessing, "javascript").replace(
        'import * as ort from "onnxruntime-web";',
        "const ort = { Tensor: class { constructor(kind, data, dims) { Object.assign(this, { data, dims }); } } };",
    )
    rgba = np.random.default_rng(1).integers(0, 256, (64, 64, 4), np.uint8)
    (folder / "rgba.json").write_text(json.dumps(rgba.ravel().tolist()))
    (folder / "app.mjs").write_text(script)
    (folder / "run.mjs").write_text(
        'import { classify, input } from "./app.mjs"; import { readFileSync } from "node:fs";\n'
        'const rgba = JSON.parse(readFileSync("rgba.json"));\n'
        'const session = { inputNames: ["i"], outputNames: ["o"], run: async () => ({ o: { data: [1, 3, 2, 0] } }) };\n'
        "const { data, dims } = input(rgba);\n"
        'const answer = await classify({ session, labels: ["a", "b", "c", "d"] }, rgba);\n'
        "console.log(JSON.stringify({ data: Array.from(data), dims, answer }));\n"
    )
    done = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    image = Image.fromarray(rgba[:, :, :3]).convert("L" if preprocessing.channels == 1 else "RGB")
    pixels = np.asarray(image).reshape(64, 64, -1).transpose(2, 0, 1)
    assert made["dims"] == [1, preprocessing.channels, 64, 64]
    step = 1 / 255 / min(preprocessing.std)  # a grey level may be rounded the other way
    expected = preprocessing.normalize(pixels).ravel()
    assert np.abs(np.array(made["data"]) - expected).max() < (1.01 * step if preprocessing.channels == 1 else 1e-5)
    assert made["answer"]["label"] == "b"
    assert made["answer"]["probability"] == pytest.approx(np.exp(3) / np.exp([1, 3, 2, 0]).sum())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("preprocessing", [COLOUR, GREY], ids=["colour", "grey"])
def test_every_language_has_this_file_s_numbers(language: str, preprocessing: Preprocessing) -> None:
    text = code(preprocessing, language)
    for number in (*preprocessing.mean, *preprocessing.std, preprocessing.canvas[0], 64):
        assert re.search(rf"(?<![\d.]){re.escape(str(number))}(?![\d.]*\d)", text), number
    assert "{{" not in text and "{%" not in text and "ridgepoint" not in text
    assert text.count("(") == text.count(")") and text.count("{") == text.count("}")


def test_without_known_preprocessing_or_for_another_runtime_there_is_no_code() -> None:
    assert snippets({}, file="model.onnx") == []
    assert snippets({"height": -1}, file="model.onnx") == []
    assert snippets(json.loads(COLOUR.to_json()), file="model.unknown") == []
