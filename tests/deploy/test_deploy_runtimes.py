"""What our runtimes do beside what the kit asks of all: see tests/testing."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import small_network

from ridgepoint.arch.shape import Shape
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import find_runtime, onnx_export, open_session
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.layers import SameConv2d


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return build(small_network()).eval()


def exported(model: nn.Module, folder: Path, runtime: str, shape: Shape | None = None) -> Path:
    path = folder / f"model{find_runtime(runtime).suffix}"
    export_for_timing(model, shape or small_network().input_shape, path, runtime)
    return path


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


def test_a_network_that_cannot_be_written_leaves_logging_as_it_was(tmp_path: Path, caplog, monkeypatch):
    """OpenVINO's converter leaves the root of all loggers at errors alone where it fails."""
    monkeypatch.setattr(onnx_export, "write_fast", lambda module, example, path: path.write_bytes(b"no"))
    root = logging.getLogger()
    found = root.level, list(root.filters), list(root.handlers)
    with pytest.raises(InputError, match=r"runtime 'openvino' .* cannot write this network"):
        exported(nn.Identity(), tmp_path, "openvino", Shape(1, 4, 4))
    assert found == (root.level, root.filters, root.handlers)
    logging.getLogger("ridgepoint").warning("is still told")
    assert "is still told" in caplog.text


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


def test_more_threads_than_processors_are_refused_at_once(exported_for_onnx: Path):
    with pytest.raises(InputError, match=r"9999 threads are more than the \d+ processors here: give at most --threads"):
        open_session(exported_for_onnx, threads=9999)


@pytest.fixture
def exported_for_onnx(model, tmp_path: Path) -> Path:
    return exported(model, tmp_path, "onnxruntime")


def test_a_compiler_that_is_missing_is_told_before_anything_is_done(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"'torch_compile' needs g\+\+, which is not on the path"):
        find_runtime("torch_compile")


@pytest.mark.parametrize("dim", [1, -1])
def test_slices_take_the_place_of_splits_in_executorch(dim: int):
    """Its delegate knows no split; what a program computes stays, also where a part is not used."""
    from ridgepoint.deploy.runtimes.executorch import _slice_splits

    class Splits(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, _, last = x.split((2, 3, 2), dim)
            return first * 2 + last

    x = torch.randn(1, 7, 7)
    program = torch.export.export(Splits(), (x,))
    before = program.module()(x)
    _slice_splits(program)
    assert not any("split" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), before)
