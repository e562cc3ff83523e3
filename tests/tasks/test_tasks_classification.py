"""Classification behind the contract: what is written of a file's mistakes."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from ridgepoint.data import ArraySplit
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
