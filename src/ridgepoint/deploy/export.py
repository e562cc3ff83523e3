"""A module as an artefact: folded, written by a runtime, with all that is known about it."""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.suppression import Suppression
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.about import About, make_about
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.find import told_beside, told_inside
from ridgepoint.deploy.quiet import quiet
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime, part_name
from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.errors import InputError, RidgepointError
from ridgepoint.files import make_folder, save_atomic
from ridgepoint.nn.forms import in_form
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.suppress import Suppressing

BOXES = ("boxes",)
"""What a file with suppression gives."""


def export_artefact(
    model: nn.Module,
    path: Path,
    *,
    network: Network,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    runtime: str = DEFAULT,
    precision: str | None = None,
    batch: Batch = "static",
    trained_on: TrainedOn | None = None,
    task: str = "classification",
    outputs: Sequence[str] = ("logits",),
    suppression: Suppression | None = None,
) -> About:
    """Write the deploy form of a model, with everything an app needs in `ridgepoint.json` beside it.

    Where the format can hold that, it is inside too: an ONNX file has it in its metadata, by the keys
    `ridgepoint.labels` (a JSON list), `ridgepoint.preprocessing`, `ridgepoint.network`, `ridgepoint.trained_on` (JSON),
    `ridgepoint.version` and others.

    Args:
        model: In eval mode; shape (B, C, H, W) -> (B, num_classes) logits.
        path: Where the artefact goes; every file of it appears whole or not at all, what is told of it last.
        network: The model's architecture.
        preprocessing: How an image becomes the model's input.
        labels: One name per class.
        runtime: What writes it, and will run it.
        precision: Of the multiplications; left out, the runtime's usual one.
        batch: `static` fixes batch 1, which runtimes optimise best; `dynamic` leaves the batch open.
        task: What its answers are.
        outputs: The names of what it gives.
        trained_on: The data, so that its test part can be found again.
        suppression: Makes final boxes of a detector's rows in the file itself.

    Raises:
        InputError: If the model is in train mode, there is not one label for each class, or the runtime cannot write
            it.
        RunError: If the files cannot be written.
    """
    writer = find_runtime(runtime)
    writer.expect_writing()
    precision = writer.expect_precision(precision or writer.precisions[0])
    if suppression is not None:
        writer.expect_suppression(batch)
        outputs = BOXES
    about = make_about(
        labels=tuple(labels),
        preprocessing=preprocessing,
        network=network,
        trained_on=trained_on,
        task=task,
        outputs=tuple(outputs),
        precision=precision,
        suppression=suppression,
    )
    example = torch.zeros(1, preprocessing.channels, preprocessing.height, preprocessing.width)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        with quiet():
            written = fuse(model, target=writer.form, example=example)
            if suppression is not None:
                written = Suppressing(written, suppression).eval()
            with _told(writer):
                writer.export(written, example, made, about=about, precision=precision, batch=batch)
        put_artefact(made, path, writer)
    write_entry(path, about, writer)
    return about


def copy_artefact(source: Path, path: Path, runtime: Runtime) -> About:
    """Put an artefact that is told of into another folder, under the same name; what is known about it.

    Raises:
        InputError: If a file of it is missing, or nothing is known about it.
        RunError: If the files cannot be written.
    """
    entry = told_beside(source, runtime)
    about = entry or told_inside(source, runtime)
    put_artefact(source, path, runtime)
    write_entry(path, about, runtime, quantisation=entry.quantisation if entry else None)
    return about


def put_artefact(source: Path, path: Path, runtime: Runtime) -> None:
    """Copy all files of an artefact, each whole or not at all; what was there of another one goes."""
    if path.is_dir() and source.is_dir():
        shutil.rmtree(path)
    for file in runtime.files(source):
        target = path.parent / part_name(source, file)
        if target.parent != path.parent:
            make_folder(target.parent)
        save_atomic(target, functools.partial(shutil.copyfile, file))


def export_for_timing(
    model: nn.Module, shape: Shape, path: Path, runtime: str = DEFAULT, *, folded: bool = True
) -> None:
    """Write a module fast in the format that a runtime loads, for the clock only: weights as they are, batch 1.

    `folded=False` leaves norms and branches in; exporter and runtime still fold what they fold by themselves.

    Raises:
        InputError: If the runtime is unknown, cannot work here, or cannot write the module.
    """
    writer, model = find_runtime(runtime), model.eval()
    writer.expect_writing()
    example = torch.zeros(1, *shape.sizes)
    with quiet():
        written = in_form(fuse(model) if folded else model, writer.form, example)
        with _told(writer):
            writer.export(written, example, path, about=None)


@contextlib.contextmanager
def _told(writer: Runtime) -> Iterator[None]:
    """What a converter raises, which is of every kind, in a message."""
    try:
        yield
    except (RidgepointError, OSError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"runtime '{writer.name}' {writer.version} cannot write this network: {type(error).__name__}: "
            f"{first_line(error)}. Give another --runtime"
        ) from error
