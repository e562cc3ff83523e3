"""A bench of real files: every combination that is possible, weighed and profiled."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from train_helpers import small_network

from ridgepoint.deploy.bench import BenchResult, bench
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.memory import peak_memory_bytes
from ridgepoint.nn.build import build

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's peak memory")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small network for each runtime."""
    folder = tmp_path_factory.mktemp("bench")
    found = {"onnxruntime": folder / "small.onnx", "torch": folder / "small.pt2"}
    for runtime, path in found.items():
        export_for_timing(build(small_network()), small_network().input_shape, path, runtime)
    return found


def run(files: dict[str, list[tuple[str, Path]]], threads: tuple[int, ...]) -> BenchResult:
    told: list[float] = []
    found = bench(
        files,
        threads=threads,
        rounds=10,
        round_s=0.001,
        profile=True,
        busy=True,
        progress=lambda share, text: told.append(share),
    )
    assert told == sorted(told) and told[0] > 0 and told[-1] < 1
    return found


@pytest.fixture(scope="module")
def found(files: dict[str, Path]) -> BenchResult:
    return run({name: [("onnxruntime", files["onnxruntime"])] for name in ("one", "other")}, (1, 2))


@pytest.mark.clock
def test_every_combination_is_clocked_once_and_the_fastest_is_first(found: BenchResult, files):
    names = {f"{model}, {threads}" for model in ("one", "other") for threads in ("1 thread", "2 threads")}
    assert {row.name for row in found.rows} == names and len(found.rows) == 4
    assert [row.latency.ms for row in found.rows] == sorted(row.latency.ms for row in found.rows)
    for row in found.rows:
        latency = row.latency
        assert 0 < latency.ms <= latency.p90_ms and latency.median_ms > 0
        assert latency.rounds == len(row.rounds_ms) == 10 and latency.slowdown > 0.5
        assert latency.file_bytes == files["onnxruntime"].stat().st_size
    assert len(found.verdicts) == 6


def test_profiles_name_operators_and_how_often_they_are_called(found: BenchResult, files):
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(files["onnxruntime"]).graph.node)
    for row in found.rows:
        operators = {each.operator: each for each in row.operators}
        assert operators["Conv"].calls == convolutions and operators["Conv"].ms > 0
        assert [each.ms for each in row.operators] == sorted((each.ms for each in row.operators), reverse=True)


def test_a_model_runs_in_every_runtime_that_loads_it(files: dict[str, Path]):
    found = run({"small": list(files.items()), "foreign": [("onnxruntime", files["onnxruntime"])]}, (1,))
    assert {row.name for row in found.rows} == {"small, onnxruntime", "small, torch", "foreign, onnxruntime"}
    assert found.rows[-1].name == "small, torch", "eager PyTorch takes many times as long for a network of this size"
    assert [verdict.differ for verdict in found.verdicts if "small, torch" in verdict.second] == [True, True]
    assert any("conv" in each.operator for each in found.rows[-1].operators)
    assert found.rows[-1].latency.peak_memory_bytes > 0


def save(path: Path, nodes: list[onnx.NodeProto], width: int, weights: dict[str, np.ndarray]) -> Path:
    """An ONNX file from x, (1, width), to y."""
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", width), ("y", None))
    )
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", [image], [logits], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def with_weights(folder: Path, megabytes: int) -> Path:
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    weight = np.ones((megabytes, 250_000), np.float32)
    return save(folder / f"weights{megabytes}.onnx", [gemm], 250_000, {"w": weight})


def with_buffers(folder: Path, megabytes: int) -> Path:
    """Takes the memory only when it runs: x is repeated, and the copies are summed up."""
    tile = helper.make_node("Tile", ["x", "times"], ["many"])
    total = helper.make_node("ReduceMean", ["many"], ["y"], axes=[0], keepdims=1)
    times = np.array([megabytes, 1], np.int64)
    return save(folder / f"buffers{megabytes}.onnx", [tile, total], 250_000, {"times": times})


@LINUX
@pytest.mark.parametrize(("file", "copies"), [(with_weights, 5), (with_buffers, 3)])
def test_memory_grows_with_weights_and_with_buffers(file: Callable[[Path, int], Path], copies: int, tmp_path: Path):
    """Of weights there are several copies while they are loaded: the file's bytes, what is parsed, what is kept."""
    small, large = (peak_memory_bytes(file(tmp_path, size), runtime="onnxruntime", threads=1) for size in (1, 65))
    assert 60e6 < large - small < copies * 64e6


def test_what_cannot_be_loaded_has_no_memory(tmp_path: Path):
    assert peak_memory_bytes(tmp_path / "absent.onnx", runtime="onnxruntime", threads=1) is None
