"""The kit: the tools that turn our files into 8-bit integers pass it, and each fault is found by its law."""

from pathlib import Path

import numpy as np
import pytest
from zoo_helpers import brief

from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.quantize import QUANTIZERS, find_quantizer
from ridgepoint.deploy.quantize.onnxruntime import OnnxRuntimeQuantizer
from ridgepoint.deploy.quantize.timing import quantise_for_timing
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.testing.quantizers import CHECKS, check


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_our_quantisers_pass(name: str, law: str, tmp_path: Path):
    skip_where_missing(name)
    CHECKS[law](name, tmp_path)


def skip_where_missing(name: str) -> None:
    try:
        runtime = find_runtime(name)
        find_quantizer(name)
    except InputError as error:  # an extra that is not installed
        pytest.skip(str(error))
    if (why := runtime.missing_to_write()) is not None:
        pytest.skip(f"runtime '{name}' {why}")


@pytest.mark.parametrize("name", ["litert", "executorch"])
def test_hard_swishes_in_8_bits_end_no_part(name: str, tmp_path: Path):
    skip_where_missing(name)
    model, float_file = build(brief("mobilenetv3_small_050", height=32), num_classes=8).eval(), tmp_path / "float"
    float_file = float_file.with_suffix(find_runtime(name).suffix)
    export_for_timing(model, model.network.input_shape, float_file, name)
    path = quantise_for_timing(
        float_file, tmp_path / f"int8{float_file.suffix}", model.network.input_shape, name, model
    )
    session = open_session(path, runtime=name)
    assert session.run(np.zeros((1, *session.input_shape), np.float32)).shape == (1, 8)
    assert (delegates(path) if name == "executorch" else session.partitions) == 1


def delegates(path: Path) -> int:
    """Into how many parts an ExecuTorch file is cut; its runtime does not tell."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    (plan,) = deserialize_pte_binary(path.read_bytes()).program.execution_plan
    return sum(type(each.instr_args).__name__ == "DelegateCall" for chain in plan.chains for each in chain.instructions)


class Copying(OnnxRuntimeQuantizer):
    def write(self, recipe, path, *, about):
        path.write_bytes(self._prepared.read_bytes())


class Clipping(OnnxRuntimeQuantizer):
    def __init__(self, source, images, folder, *, module=None):
        super().__init__(source, images / 10, folder, module=module)


class Drifting(OnnxRuntimeQuantizer):
    times = 0

    def write(self, recipe, path, *, about):
        Drifting.times += 1
        self._images, self._ranges = self._images * (1 + 0.1 * Drifting.times), {}
        super().write(recipe, path, about=about)


class Deaf(OnnxRuntimeQuantizer):
    def write(self, recipe, path, *, about):
        super().write(type(recipe)(method=recipe.method), path, about=about)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Copying, "no smaller"),
        (Clipping, "noise of"),
        (Drifting, "answers otherwise when it is written again"),
        (Deaf, "all layers but one in float"),
    ],
)
def test_a_quantiser_that_breaks_a_law_is_told(kind, law: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(QUANTIZERS, "onnxruntime", f"{__name__}:{kind.__name__}")
    with pytest.raises(AssertionError, match=law):
        check("onnxruntime")


def test_a_tool_that_is_not_installed_is_told_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OnnxRuntimeQuantizer, "tool", "nowhere")
    monkeypatch.setattr(OnnxRuntimeQuantizer, "extra", "some-int8")
    with pytest.raises(InputError, match=r"int8 for runtime 'onnxruntime' needs nowhere.*ridgepoint\[some-int8\]"):
        find_quantizer("onnxruntime")
