"""PyTorch's quantisation of exported programs, for ExecuTorch with XNNPACK: int8 weights per channel."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ridgepoint.deploy.about import About
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quiet import quiet
from ridgepoint.deploy.runtimes.executorch import ExecuTorch, write_program
from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.errors import InputError
from ridgepoint.nn.fuse import fuse

if TYPE_CHECKING:
    from torch import nn

METHOD, ATEN = "min-max", torch.ops.aten
LAYERS = (
    ATEN.conv2d.default,
    ATEN.conv2d.padding,
    ATEN.conv_transpose2d.input,
    ATEN.linear.default,
    ATEN.bmm.default,
    ATEN.matmul.default,
)


class ExecuTorchQuantizer(Quantizer):
    """See `Quantizer`: it begins at the module, since `.pte` files hold nothing that could be quantised."""

    tool, extra, methods = "torchao", "executorch", (METHOD,)

    def __init__(self, source: Path, images: np.ndarray, folder: Path, *, module: "nn.Module | None" = None):
        if module is None:
            raise InputError(f"{source}: int8 for ExecuTorch begins at the module, which is not at hand. Give a run")
        self._source, self._images = source, torch.from_numpy(images)
        with quiet(), torch.no_grad():
            written = fuse(module, target=ExecuTorch.form, example=self._images[:1])
            self._program = torch.export.export(written, (self._images[:1],)).module()

    def write(self, recipe: Recipe, path: Path, *, about: About | None) -> None:
        """See `Quantizer`; the format holds nothing of `about`."""
        try:
            with quiet(), torch.no_grad():
                write_program(self._quantised(), self._images[:1], path)
        except Exception as error:  # the tool's own errors are of every kind
            raise InputError(f"{self._source}: cannot be quantised for ExecuTorch: {first_line(error)}") from None

    def _quantised(self) -> Any:
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        left = after_the_layers(self._program.graph)
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        quantizer.set_filter_function(lambda node: node.name not in left)
        prepared = prepare_pt2e(copy.deepcopy(self._program), quantizer)
        for image in self._images:
            prepared(image[None])
        return convert_pt2e(prepared)


def after_the_layers(graph: torch.fx.Graph) -> set[str]:
    """Names of the operators that follow the last layers on every way to the answers: they stay in float.

    Places of boxes have to be finer than an image's 256th part.
    """
    needed: set[torch.fx.Node] = set()
    found = set()
    for node in reversed(graph.nodes):
        if node.target in LAYERS or node in needed:
            needed |= set(node.all_input_nodes)
        elif node.op == "call_function":
            found.add(node.name)
    return found
