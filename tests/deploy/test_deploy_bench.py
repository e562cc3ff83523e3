"""A bench of real files: every combination that is possible, weighed and profiled."""

import sys
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
        progress=lambda share, text: told.append(share),
    )
    assert told == sorted(told) and told[0] > 0 and told[-1] < 1
    return found


@pytest.fixture(scope="module")
def found(files: dict[str, Path]) -> BenchResult:
    return run({name: [("onnxruntime", files["onnxruntime"])] for name in ("one", "other")}, (1, 2))


def test_every_combination_is_clocked_once_and_the_fastest_is_first(found: BenchResult, files):
    names = {f"{model}, {threads}" for model in ("one", "other") for threads in ("1 thread", "2 threads")}
    assert {row.name for row in found.rows} == names and len(found.rows) == 4
    assert [row.latency.ms for row in found.rows] == sorted(row.latency.ms for row in found.rows)
    for row in found.rows:
        latency = row.latency
        assert 0 < latency.ms <= latency.p90_ms and latency.median_ms > 0
        assert latency.rounds == len(row.rounds_ms) == 10 and latency.slowdown >= 1.0
        assert latency.file_bytes == files["onnxruntime"].stat().st_size
    assert len(found.verdicts) == 6


def test_profiles_name_operators_and_how_often_they_are_called(found: BenchResult, files):
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(files["onnxruntime"]).graph.node)
    for row in found.rows:
        operators = {each.operator: each for each in row.operators}
        assert operators["Conv"].calls == convolutions and operators["Conv"].ms > 0
        assert [each.ms for each in row.operators] == sorted((each.ms for each in row.operators), reverse=True)


@pytest.mark.slow
def test_a_model_runs_in_every_runtime_that_loads_it(files: dict[str, Path]):
    found = run({"small": list(files.items()), "foreign": [("onnxruntime", files["onnxruntime"])]}, (1,))
    assert {row.name for row in found.rows} == {"small, onnxruntime", "small, torch", "foreign, onnxruntime"}
    assert found.rows[-1].name == "small, torch", "eager PyTorch takes many times as long for a network of this size"
    assert [verdict.differ for verdict in found.verdicts if "small, torch" in verdict.second] == [True, True]
    assert any("conv" in each.operator for each in found.rows[-1].operators)
    assert found.rows[-1].latency.peak_memory_bytes > 0


@LINUX
def test_memory_grows_with_the_weights(files, tmp_path: Path, found: BenchResult):
    assert all(row.latency.peak_memory_bytes > 0 for row in found.rows)

    def file(megabytes: int) -> Path:
        weight = numpy_helper.from_array(np.ones((megabytes, 250_000), np.float32), "w")
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 250_000])
        logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, megabytes])
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], "g", [image], [logits], [weight]
        )
        path = tmp_path / f"{megabytes}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    small, large = (peak_memory_bytes(file(size), runtime="onnxruntime", threads=1) for size in (1, 65))
    assert 64e6 < large - small < 5 * 64e6, "the file's bytes, its weights, and while loading perhaps both"


def test_what_cannot_be_loaded_has_no_memory(tmp_path: Path):
    assert peak_memory_bytes(tmp_path / "absent.onnx", runtime="onnxruntime", threads=1) is None
