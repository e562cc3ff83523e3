"""Writing ONNX files: checked, with metadata, for people; or fast, for the clock."""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import nn

from ridgepoint.deploy.runtimes.runtime import Batch

OPSET = 20  # the first in which a GELU is one operator, and the last that the older exporter writes


def write_checked(
    module: nn.Module,
    example: torch.Tensor,
    path: Path,
    *,
    metadata: Mapping[str, str],
    outputs: Sequence[str],
    batch: Batch,
) -> None:
    """A file that ships, with the names of what it gives."""
    keep_translations()
    shapes = None
    if batch == "dynamic":  # a batch of 1 would be taken for a fixed one
        example, shapes = torch.cat([example, example]), ({0: torch.export.Dim.DYNAMIC},)
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        dynamic_shapes=shapes,
        input_names=["image"],
        output_names=list(outputs),
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, dict(metadata))
    _forget_shapes_of_weights(proto)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


@functools.cache
def keep_translations() -> None:
    """Have torch's exporter keep its translations of operators, whose sources it reads for every file, for two seconds.

    A torch or onnxscript of another make goes on as it is.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from torch.onnx._internal.exporter._registration import onnxscript_apis

        onnxscript_apis.get_torchlib_ops = functools.cache(onnxscript_apis.get_torchlib_ops)


def write_fast(module: nn.Module, example: torch.Tensor, path: Path) -> None:
    """By the older exporter, which takes milliseconds where the other takes seconds.

    The graph after the runtime's own optimisation is the same.
    """
    torch.onnx.export(module, (example,), str(path), dynamo=False, opset_version=OPSET)


def _forget_shapes_of_weights(proto: onnx.ModelProto) -> None:
    """A weight tells its shape itself; told twice, the runtime's own quantiser finds two that contradict each other."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    others = [info for info in proto.graph.value_info if info.name not in weights]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(others)
