"""ONNX Runtime's static quantisation: activations uint8, weights int8 per channel, as QuantizeLinear pairs.

Signed activations (S8S8) are three times slower on x86 and rounder; entropy gives what min-max gives.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    create_calibrator,
    quant_pre_process,
)
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from ridgepoint.deploy.about import About
from ridgepoint.deploy.quantize.equalise import equalise, pairs
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quiet import quiet
from ridgepoint.deploy.runtimes.onnx_graph import optimised_graph
from ridgepoint.deploy.runtimes.onnxruntime import PREFIX
from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.errors import InputError
from ridgepoint.run.quantised import LayerNoise

if TYPE_CHECKING:
    from torch import nn

KINDS = sorted({*QDQRegistry, *QLinearOpsRegistry})
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
TOGETHER = 8  # images whose activations are in memory at once, where all of them are looked at
RANGES: dict[str, tuple[CalibrationMethod, dict[str, Any]]] = {
    "min-max": (CalibrationMethod.MinMax, {}),
    "percentile 99.99": (CalibrationMethod.Percentile, {"percentile": 99.99, "symmetric": False}),
}


class How(NamedTuple):
    """A method: how ranges are found, whether channels are brought to like sizes first, and weights have 7 bits."""

    ranges: str
    equalised: bool = False
    seven_bits: bool = False


METHODS = {
    **{name: How(name) for name in RANGES},
    "min-max, 7-bit weights": How("min-max", seven_bits=True),
    "min-max, equalised": How("min-max", equalised=True),
    "min-max, equalised, 7-bit weights": How("min-max", True, True),
}


class OnnxRuntimeQuantizer(Quantizer):
    """See `Quantizer`. The float file is folded once, and ranges are found once for each way that needs others."""

    tool, methods = "onnxruntime", tuple(METHODS)

    def __init__(self, source: Path, images: np.ndarray, folder: Path, *, module: "nn.Module | None" = None):
        self._images, self._folder, self._prepared = images, folder, folder / "prepared.onnx"
        self._ranges: dict[tuple[str, bool], Any] = {}
        try:
            with quiet():
                quant_pre_process(str(source), str(self._prepared), skip_symbolic_shape=True)
        except Exception as error:  # the tool's own errors are of every kind
            raise InputError(f"{source}: ONNX Runtime cannot prepare it for int8: {first_line(error)}") from None
        self._model = onnx.load(self._prepared)
        self._input = self._model.graph.input[0].name
        self._sizes = {each.name: int(np.prod(each.dims)) for each in self._model.graph.initializer}
        self._layers = {self._named(node): node for node in self._model.graph.node if node.op_type in LAYERS}
        self._last = after_the_layers(self._model.graph.node)
        self._pairs = [each.between for each in pairs(self._model)]
        self._equalised: Any = None

    def applicable(self, *, overflows: bool) -> tuple[str, ...]:
        """See `Quantizer`: without two convolutions in a row there is nothing to equalise."""
        return tuple(name for name in self.methods if self._serves(METHODS[name], overflows=overflows))

    def _serves(self, how: How, *, overflows: bool) -> bool:
        return bool(self._pairs or not how.equalised) and (overflows or not how.seven_bits)

    def write(self, recipe: Recipe, path: Path, *, about: About | None) -> None:
        """See `Quantizer`."""
        model = self._quantised(recipe.method, excluded=[self._layers[name].name for name in recipe.left_float])
        if about is not None:
            onnx.helper.set_model_props(model, {PREFIX + name: text for name, text in about.texts().items()})
        onnx.save(model, path)

    def sensitivity(self, images: np.ndarray, *, method: str | None = None) -> tuple[LayerNoise, ...]:
        """See `Quantizer`: the median over images of the noise in the answers, by their own size."""
        source = self._answers(self._model, images)
        size = np.maximum((source**2).sum(1), 1e-12)
        noise = {}
        for name, node in self._layers.items():
            answers = self._answers(self._quantised(method or self.methods[0], only=[node.name]), images)
            noise[name] = float(np.median(((answers - source) ** 2).sum(1) / size))
        whole = sum(noise.values()) or 1.0
        weights = sum(self._sizes.values()) or 1
        return tuple(
            LayerNoise(
                layer=name,
                operator=self._layers[name].op_type,
                share=noise[name] / whole,
                weights=sum(self._sizes.get(each, 0) for each in self._layers[name].input) / weights,
            )
            for name in sorted(noise, key=lambda name: -noise[name])
        )

    def in_float(self, path: Path) -> dict[str, int]:
        """See `Quantizer`; conversions between the two are counted too."""
        found: Counter[str] = Counter()
        for name, count in optimised_graph(path).operators.items():
            if not name.startswith(("QLinear", "QGemm", "MaxPool", "Reshape", "Flatten", "Squeeze", "Transpose")):
                found[name] += count
        return dict(found)

    def _named(self, node: onnx.NodeProto) -> str:
        """A layer by the module that its weights come from."""
        weight = next((name for name in node.input[1:2] if name in self._sizes), node.name)
        return str(weight).removesuffix(".weight")

    def _quantised(self, method: str, *, excluded: list[str] | None = None, only: list[str] | None = None) -> Any:
        how = METHODS[method]
        quantizer = QDQQuantizer(
            copy.deepcopy(self._in_float(how.equalised)),
            True,  # per channel
            how.seven_bits,  # "reduce range"
            QuantType.QInt8,
            QuantType.QUInt8,
            self._found(how.ranges, equalised=how.equalised),
            only or [],
            [*(excluded or []), *self._last],
            KINDS,
            {},
        )
        with quiet():
            quantizer.quantize_model()
        return quantizer.model.model

    def _in_float(self, equalised: bool) -> Any:
        """What is quantised: the folded graph, or the same with like channels."""
        if equalised and self._equalised is None:
            self._equalised = copy.deepcopy(self._model)
            equalise(self._equalised, pairs(self._equalised), self._largest(self._pairs))
        return self._equalised if equalised else self._model

    def _largest(self, names: list[str]) -> dict[str, np.ndarray]:
        """The largest size of every channel of some activations over all images, (C,) each."""
        watched = copy.deepcopy(self._model)
        del watched.graph.output[:]
        told = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names]
        watched.graph.output.extend(told)
        session, found = self._session(watched), dict[str, np.ndarray]()
        for image in self._images:
            for name, map_1CHW in zip(names, session.run(names, {self._input: image[None]}), strict=True):
                sizes = np.abs(map_1CHW).max((0, 2, 3))
                found[name] = np.maximum(found.get(name, sizes), sizes)
        return found

    def _found(self, method: str, *, equalised: bool) -> Any:
        """The ranges of all activations by a method."""
        if (method, equalised) not in self._ranges:
            kind, options = RANGES[method]
            source = self._folder / ("equalised.onnx" if equalised else self._prepared.name)
            if equalised:
                onnx.save(self._in_float(equalised), source)
            calibrator = create_calibrator(
                source,
                KINDS,
                augmented_model_path=str(self._folder / "augmented.onnx"),
                calibrate_method=kind,
                extra_options=options,
            )
            with quiet():
                for start in range(0, len(self._images), TOGETHER):
                    calibrator.collect_data(_Reader(self._input, self._images[start : start + TOGETHER]))
                self._ranges[method, equalised] = calibrator.compute_data()
        return self._ranges[method, equalised]

    def _answers(self, model: Any, images: np.ndarray) -> np.ndarray:
        session = self._session(model)
        return np.stack([session.run(None, {self._input: image[None]})[0].ravel() for image in images])

    def _session(self, model: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        content = model.SerializeToString()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def after_the_layers(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    """Names of the operators that follow the last layers on every way to the answers: they stay in float.

    Places of boxes have to be finer than an image's 256th part.

    Args:
        nodes: In order.
    """
    needed: set[str] = set()
    found = []
    for node in reversed(nodes):
        if node.op_type in LAYERS or needed & set(node.output):
            needed |= set(node.input)
        else:
            found.append(node.name)
    return found


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Images one by one, as the tool asks for them."""

    def __init__(self, name: str, images: np.ndarray):
        self._left: Iterator[dict[str, np.ndarray]] = ({name: image[None]} for image in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)
