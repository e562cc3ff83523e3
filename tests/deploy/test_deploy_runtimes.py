"""Every runtime through the same kit: what it computes, how it refuses, and what it leaves alone."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import small_network

from ridgepoint.arch.shape import Shape
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.layers import SameConv2d

EVERY = ["onnxruntime", "torch", pytest.param("torch_compile", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return build(small_network()).eval()


def exported(model: nn.Module, folder: Path, runtime: str, shape: Shape | None = None) -> Path:
    path = folder / f"model{find_runtime(runtime).suffix}"
    export_for_timing(model, shape or small_network().input_shape, path, runtime)
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("runtime", EVERY)
def test_a_runtime_computes_what_the_module_computes(model, tmp_path: Path, runtime: str, threads: int):
    before = copy.deepcopy(model.state_dict())
    session = open_session(exported(model, tmp_path, runtime), runtime=runtime, threads=threads)
    assert (session.runtime, session.version) == (runtime, find_runtime(runtime).version)
    assert session.input_shape == (1, 16, 16)
    x = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(session.run(x.numpy()), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(session.run(x[:1].numpy()), expected[:1], rtol=1e-3, atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("runtime", EVERY)
def test_blocks_that_take_tokens_run(tmp_path: Path, runtime: str):
    block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4), nn.GELU())
    session = open_session(exported(block, tmp_path, runtime, Shape(8, 3, 3, layout="tokens")), runtime=runtime)
    x = np.random.default_rng(0).standard_normal((1, *session.input_shape)).astype(np.float32)
    assert x.shape == (1, 9, 8)
    with torch.no_grad():
        np.testing.assert_allclose(session.run(x), block(torch.from_numpy(x)).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("size", [1, 3, 5, 6, 9])
def test_convolutions_with_a_stride_are_padded_alike_at_every_size(tmp_path: Path, size: int, kernel: int):
    """TensorFlow's SAME at odd sizes, 1 among them, where a traced rounding up may become a rounding down."""
    block = SameConv2d(2, 2, kernel, stride=2).eval()
    session = open_session(exported(block, tmp_path, "onnxruntime", Shape(2, size, size)))
    x = torch.randn(1, 2, size, size)
    with torch.no_grad():
        expected = block(x).numpy()
    assert expected.shape[-1] == (size + 1) // 2
    np.testing.assert_allclose(session.run(x.numpy()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", ["torch", pytest.param("torch_compile", marks=pytest.mark.slow)])
def test_the_process_keeps_its_number_of_threads(model, tmp_path: Path, runtime: str):
    before = torch.get_num_threads()
    session = open_session(exported(model, tmp_path, runtime), runtime=runtime, threads=before + 1)
    session.run(np.zeros((1, 1, 16, 16), np.float32))
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("runtime", EVERY)
def test_a_runtime_can_be_clocked(model, tmp_path: Path, runtime: str):
    found = measure({"model": exported(model, tmp_path, runtime)}, runtime=runtime, rounds=3, round_s=0.001)["model"]
    assert found.runtime == runtime and 0 < found.ms <= found.p90_ms


@pytest.mark.parametrize("content", [None, b"", b"nonsense", "truncated"])
def test_what_is_no_program_is_refused(model, tmp_path: Path, content, capfd):
    path = exported(model, tmp_path, "torch")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-500] if content == "truncated" else content)
    capfd.readouterr()
    with pytest.raises(
        InputError, match=r"model\.pt2: (there is no such file|is (empty|no archive|an archive without))"
    ):
        open_session(path, runtime="torch")
    assert capfd.readouterr() == ("", "")


def test_a_file_of_another_runtime_is_refused_with_those_that_load_it(exported_for_onnx: Path):
    with pytest.raises(InputError, match=r"runtime 'torch' loads \.pt2 files\. Allowed: onnxruntime"):
        open_session(exported_for_onnx, runtime="torch")


@pytest.fixture
def exported_for_onnx(model, tmp_path: Path) -> Path:
    return exported(model, tmp_path, "onnxruntime")


def test_a_compiler_that_is_missing_is_told_before_anything_is_done(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"'torch_compile' needs g\+\+, which is not on the path"):
        find_runtime("torch_compile")
