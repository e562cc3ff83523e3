"""AI Edge Quantizer's static quantisation of `.tflite` files: int8 weights per channel, true minima and maxima.

A network with hard swishes is converted anew with other operators for them: at each that is left, XNNPACK would stop.
What follows the last layers stays in float: places of boxes have to be finer than an image's 256th part.

Differs: by default the tool averages the ranges of single images, so that about half of all images are clipped.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ridgepoint.deploy.about import About
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quiet import quiet
from ridgepoint.deploy.runtimes.litert import LiteRt, without_logs
from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.errors import InputError
from ridgepoint.files import read_file
from ridgepoint.nn.fuse import fuse

METHOD, FORM = "min-max", "litert-int8"
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED", "BATCH_MATMUL")


class LiteRtQuantizer(Quantizer):
    """See `Quantizer`."""

    tool, extra, methods = "ai-edge-quantizer", "litert-convert", (METHOD,)

    def __init__(self, source: Path, images: np.ndarray, folder: Path, *, module: nn.Module | None = None):
        self._source, self._images, self._ranges = source, images, dict[str, Any]()
        if module is not None and any(type(each) is nn.Hardswish for each in module.modules()):
            source = _in_form_for_int8(module, torch.from_numpy(images[:1]), folder / "products.tflite")
        self._content = read_file(source, limit_bytes=LARGEST_BYTES)

    def write(self, recipe: Recipe, path: Path, *, about: About | None) -> None:
        """See `Quantizer`; the format holds nothing of `about`."""
        from ai_edge_quantizer import quantizer

        tool = quantizer.Quantizer(self._content, _static_int8(self._content))
        try:
            with quiet(), without_logs():
                found = tool.quantize(self._found(), enable_progress_bar=False, enable_progress_report=False)
                path.write_bytes(found.quantized_model)
        except Exception as error:  # the tool's own errors are of every kind
            raise InputError(f"{self._source}: AI Edge Quantizer cannot quantise it: {first_line(error)}") from None

    def _found(self) -> dict[str, Any]:
        """The least and the most of every tensor over all images."""
        from ai_edge_quantizer import calibrator, recipe_manager
        from ai_edge_quantizer.utils import qsv_utils

        if not self._ranges:
            recipes = recipe_manager.RecipeManager()
            recipes.load_quantization_recipe(_static_int8(self._content))
            look = calibrator.Calibrator(self._content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
            (signature,) = look.get_signature_list()
            (name,) = look._tfl_interpreter.get_signature_list()[signature]["inputs"]
            look.calibrate({signature: [{name: image[None]} for image in self._images]}, recipes)
            self._ranges = look.get_model_qsvs()
        return self._ranges


def _in_form_for_int8(module: nn.Module, example: torch.Tensor, path: Path) -> Path:
    """The float file of a module, in operators that XNNPACK takes in 8 bits."""
    with quiet(), torch.no_grad():
        LiteRt().export(fuse(module, target=FORM, example=example), example, path, about=None)
    return path


def _static_int8(content: bytes) -> Any:
    """Weights and activations in int8, while images go in and answers come out in float."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    recipes, kinds = recipe_manager.RecipeManager(), qtyping.TFLOperationName
    recipes.add_static_config(".*", kinds.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for end in (kinds.INPUT, kinds.OUTPUT):
        recipes.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    for name in after_the_layers(content):
        recipes.add_quantization_config(
            f"^{re.escape(name)}$", kinds.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    return recipes.get_quantization_recipe()


def after_the_layers(content: bytes) -> list[str]:
    """The operators that follow the last layers on every way to the answers, as the tool names them."""
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    model = flatbuffer.read_model(content)
    graph = model.subgraphs[0]
    layers = {code for name, code in flatbuffer.TFL_OP_NAME_TO_CODE.items() if name in LAYERS}
    needed: set[int] = set()
    found = []
    for operator in reversed(graph.operators):
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind in layers or needed & set(map(int, operator.outputs)):
            needed |= set(map(int, operator.inputs))
        else:
            found.append(flatbuffer.get_op_scope(operator, graph.tensors))
    return found
