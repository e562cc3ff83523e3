"""A module as an ONNX file: folded, checked, with labels and preprocessing inside."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec
import onnx
import torch
from torch import nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.errors import InputError
from ridgepoint.files import save_atomic
from ridgepoint.nn.fuse import fuse

Batch = Literal["static", "dynamic"]


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    network: Network,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    batch: Batch = "static",
    trained_on: TrainedOn | None = None,
) -> None:
    """Write the deploy form of a model, with everything an app needs in the file's metadata.

    The metadata keys are `ridgepoint.labels` (a JSON list), `ridgepoint.preprocessing`, `ridgepoint.network` and
    `ridgepoint.trained_on` (JSON), and `ridgepoint.version`.

    Args:
        model: In eval mode; shape (B, C, H, W) -> (B, num_classes) logits.
        path: Where the file goes; it appears whole or not at all.
        network: The model's architecture.
        preprocessing: How an image becomes the model's input.
        labels: One name per class.
        batch: `static` fixes batch 1, which runtimes optimise best; `dynamic` leaves the batch open.
        trained_on: The data, so that its test part can be found again.

    Raises:
        InputError: If the model is in train mode, or there is not one label for each class.
        RunError: If the file cannot be written.
    """
    if len(labels) != network.num_classes:
        raise InputError(
            f"{len(labels)} labels are given, and the network has {network.num_classes} classes. Give a label for "
            "each, and the network as it was built: model.network"
        )
    x = torch.zeros(1 if batch == "static" else 2, preprocessing.channels, preprocessing.height, preprocessing.width)
    shapes = None if batch == "static" else ({0: torch.export.Dim.DYNAMIC},)
    with _quiet():
        program = torch.onnx.export(
            fuse(model),
            (x,),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=["image"],
            output_names=["logits"],
            verbose=False,
        )
    proto = program.model_proto
    metadata = {
        "ridgepoint.labels": msgspec.json.encode(list(labels)).decode(),
        "ridgepoint.preprocessing": preprocessing.to_json(),
        "ridgepoint.network": msgspec.json.encode(network).decode(),
        "ridgepoint.version": version("ridgepoint"),
    }
    if trained_on is not None:
        metadata["ridgepoint.trained_on"] = msgspec.json.encode(trained_on).decode()
    onnx.helper.set_model_props(proto, metadata)
    _forget_shapes_of_weights(proto)
    onnx.checker.check_model(proto)
    save_atomic(path, lambda temporary: onnx.save(proto, temporary))


def _forget_shapes_of_weights(proto: onnx.ModelProto) -> None:
    """A weight tells its shape itself; told twice, the runtime's own quantiser finds two that contradict each other."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    others = [info for info in proto.graph.value_info if info.name not in weights]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(others)


def export_for_timing(
    model: nn.Module, shape: Shape, path: Path, runtime: str = "onnxruntime", *, folded: bool = True
) -> None:
    """Write a module fast in the format that a runtime loads, for the clock only: weights as they are, batch 1.

    `folded=False` leaves norms and branches in; exporter and runtime still fold what they fold by themselves.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    write = {".onnx": _write_onnx, ".pt2": _write_program}[find_runtime(runtime).suffix]
    model = model.eval()
    with _quiet():
        write(fuse(model) if folded else model, _example(shape), path)


def _write_onnx(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    """By the older exporter, which takes milliseconds where the other takes seconds.

    The graph after the runtime's own optimisation is the same.
    """
    torch.onnx.export(model, (example,), str(path), dynamo=False, opset_version=17)


@torch.no_grad()
def _write_program(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    torch.export.save(torch.export.export(model, (example,)), path)


def _example(shape: Shape) -> torch.Tensor:
    sizes = {
        "map": (shape.channels, shape.height, shape.width),
        "tokens": (shape.positions, shape.channels),
        "vector": (shape.channels,),
    }
    return torch.zeros(1, *sizes[shape.layout])


@contextlib.contextmanager
def _quiet():
    """Exporters print and warn about themselves; none of it concerns the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
