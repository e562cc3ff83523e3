"""What an app does, as the page on phones has it, answers as `predict` does: upright, cut, scaled and named alike."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import call
from fences import ROOT, fences
from PIL import Image

import ridgepoint as rp
from ridgepoint.data import Preprocessing

TURNED = 6  # of Exif: the camera was held upright, a quarter to the right
CLASSES = ("cat", "dog", "neither")
NETWORK = """
name: small
input: [3, 32, 32]
num_classes: 3
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 16}]}]
head: {head: pooled, conv_channels: 32}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, what is told of it, photographs, and the page's program."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "small.yaml").write_text(NETWORK)
    network = rp.load(folder / "small.yaml")
    preprocessing = Preprocessing(
        height=32, width=32, channels=3, resize=37, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)
    )
    torch.manual_seed(0)
    model = rp.create_model(network).eval()
    rp.export(model, folder / "model.onnx", network=network, preprocessing=preprocessing, labels=CLASSES)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels).resize((120, 90), Image.Resampling.BICUBIC)
    photo.save(folder / "wide.png")
    tag = Image.Exif()
    tag[0x0112] = TURNED
    photo.save(folder / "turned.jpg", exif=tag)
    (page,) = (each for each in fences(ROOT / "docs" / "phone.md", "python") if each.title == "answer.py")
    (folder / "answer.py").write_text(page.text)
    return folder


@pytest.mark.parametrize("photo", ["wide.png", "turned.jpg"])
def test_the_app_answers_as_predict_does(app: Path, photo: str) -> None:
    words = [sys.executable, "answer.py", "model.onnx", photo]
    answered = json.loads(subprocess.run(words, cwd=app, capture_output=True, text=True, check=True).stdout)
    done = call("predict", str(app / "model.onnx"), str(app / photo), "--top", "3", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    shares = {each["label"]: each["probability"] for each in found["top"]}
    assert shares.keys() == answered.keys() == set(CLASSES)
    assert answered == pytest.approx(shares, abs=1e-5)
    assert max(shares.values()) - min(shares.values()) > 1e-4, "a network that answers always alike compares nothing"
