"""What a search of the rivals' spaces may end on is exported, and answers as its module does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ridgepoint.arch.space import load_space
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import open_session
from ridgepoint.nn.build import build
from ridgepoint.testing.weights import randomise, relative_error


@pytest.mark.parametrize("name", ["repvit", "fastvit", "efficientformerv2"])
def test_a_child_is_exported(name: str, tmp_path: Path):
    network = load_space(name).sample(np.random.default_rng(3)).at(height=64)
    module = build(network).eval()
    randomise(module)
    export_for_timing(module, network.input_shape, tmp_path / "child.onnx")
    image = torch.randn(1, *network.input, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = module(image)
    answer = open_session(tmp_path / "child.onnx").run(image.numpy())
    assert relative_error(torch.from_numpy(answer), expected) < 1e-4
