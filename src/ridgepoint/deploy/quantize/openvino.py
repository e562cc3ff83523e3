"""NNCF's static quantisation of OpenVINO graphs: int8 weights per channel, biases corrected layer by layer."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ridgepoint.deploy.about import About
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quiet import logging_as_found, quiet
from ridgepoint.deploy.runtimes.openvino import OpenVino
from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.errors import InputError
from ridgepoint.files import read_file

if TYPE_CHECKING:
    from torch import nn

PRESETS = {"mixed ranges": "mixed", "symmetric ranges": "performance"}
"""NNCF's names: `mixed` lets activations begin elsewhere than at zero, `performance` does not."""

MOVES = ("Input", "Output", "Const", "Reorder", "Reshape", "Transpose", "Concatenation", "Split", "Subgraph")
"""Kinds of a compiled graph that compute nothing, or that are conversions themselves."""


class OpenVinoQuantizer(Quantizer):
    """See `Quantizer`."""

    tool, extra, methods = "nncf", "openvino-int8", tuple(PRESETS)

    def __init__(self, source: Path, images: np.ndarray, folder: Path, *, module: "nn.Module | None" = None):
        import openvino

        graph, weights = (read_file(file, limit_bytes=LARGEST_BYTES) for file in OpenVino().files(source))
        self._source, self._images = source, images
        try:
            self._model = openvino.Core().read_model(model=graph, weights=weights)
        except Exception as error:  # the tool's own errors are of every kind
            raise InputError(f"{source}: OpenVINO cannot read it: {first_line(error)}") from None

    def write(self, recipe: Recipe, path: Path, *, about: About | None) -> None:
        """See `Quantizer`; the format holds nothing of `about`."""
        import openvino

        openvino.save_model(self._quantised(recipe), path, compress_to_fp16=False)

    def in_float(self, path: Path) -> dict[str, int]:
        """See `Quantizer`."""
        import openvino

        compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        told = [each.get_rt_info() for each in compiled.get_runtime_model().get_ops()]
        layers = [(each["layerType"].value, each["runtimePrecision"].value) for each in told]
        kinds = Counter(kind for kind, precision in layers if precision == "f32")
        return {kind: count for kind, count in sorted(kinds.items()) if not kind.startswith(MOVES)}

    def _quantised(self, recipe: Recipe) -> Any:
        with logging_as_found():
            import nncf
        try:
            with quiet():
                return nncf.quantize(
                    self._model.clone(),
                    nncf.Dataset([image[None] for image in self._images]),
                    preset=nncf.QuantizationPreset(PRESETS[recipe.method]),
                    subset_size=len(self._images),
                    ignored_scope=nncf.IgnoredScope(names=list(recipe.left_float)) if recipe.left_float else None,
                )
        except Exception as error:
            raise InputError(f"{self._source}: NNCF cannot quantise it: {first_line(error)}") from None
