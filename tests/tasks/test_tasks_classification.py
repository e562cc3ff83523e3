"""Classification behind the contract: what is written of a file's mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from ridgepoint.arch.document import parse_network
from ridgepoint.data import ArraySplit, Preprocessing
from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import build
from ridgepoint.tasks.classification import CLASSIFICATION


def test_the_evaluation_counts_and_shows_the_surest_mistakes(tmp_path: Path) -> None:
    labels, sure = [0, 0, 1, 1, 1], [[9.0, 0.0], [0.0, 2.0], [0.0, 3.0], [8.0, 0.0], [0.0, 1.0]]
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 4, 4)
    test = ArraySplit(images, torch.tensor(labels), tuple("abcde"))
    CLASSIFICATION.write_evaluation(tmp_path, ("cat", "dog"), test, np.array(sure, np.float32))
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["confusion"] == [[1, 1], [1, 2]]
    assert [(row["class"], row["count"], row["recall"]) for row in written["per_class"]] == [
        ("cat", 2, 0.5),
        ("dog", 3, pytest.approx(2 / 3)),
    ]
    assert [mistake["id"] for mistake in written["mistakes"]] == ["d", "b"]  # the surest first
    assert np.asarray(Image.open(tmp_path / written["mistakes"][0]["image"]))[0, 0, 0] == 3
    assert msgspec.json.decode((tmp_path / "evaluation.json").read_bytes())["classes"] == ["cat", "dog"]


def test_a_classifier_does_not_wait_for_what_detectors_need(tmp_path: Path) -> None:
    """Torchvision's operators load torch's compiler, for seconds, before a first word is said."""
    network = parse_network({"name": "t", "input": [3, 8, 8], "stem": [], "stages": [], "num_classes": 2}, source="t")
    prepared = Preprocessing(channels=3, height=8, width=8, resize=8, mean=(0.5,) * 3, std=(0.2,) * 3)
    path, picture = tmp_path / "m.onnx", tmp_path / "picture.png"
    export_artefact(build(network).eval(), path, network=network, preprocessing=prepared, labels=["cat", "dog"])
    Image.new("RGB", (8, 8)).save(picture)
    code = (
        "import sys; from ridgepoint.cli.main import main\n"
        f"sys.argv = ['ridgepoint', 'predict', {str(path)!r}, {str(picture)!r}]\n"
        "try: main()\n"
        "finally: assert not {'torchvision.ops', 'torch._dynamo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and ("cat" in done.stdout or "dog" in done.stdout), done.stderr
