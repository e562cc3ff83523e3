"""`ridgepoint export`: a trained model as a checked file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ridgepoint.cli.output import MODEL, ForceFlag, JsonFlag, console, destination, emit_json
from ridgepoint.errors import InputError, nearest

if TYPE_CHECKING:
    from ridgepoint.deploy.runtimes.runtime import Runtime


def export(
    run: Annotated[Path, typer.Argument(help="A folder of `train` or `distill`, or a fit's: its chosen network.")],
    runtime: Annotated[
        str | None, typer.Option(help="What the file is for and is checked in.  [default: by --format or --out]")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="What its name ends in, such as onnx, xml or tflite.  [default: the runtime's]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file.  [default: model.onnx or the like in the folder]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32 or float16, where the runtime writes both.  [default: its usual one]")
    ] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Leave the batch size open.")] = False,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Fold, export, reload in the runtime and compare with the source; labels and preprocessing go along.

    Example: ridgepoint export runs/train/mobilenetv3_small_050 --dynamic-batch
    """
    writer = _writer(runtime, format, out)
    writer.expect_writing()
    writer.expect_precision(precision or writer.precisions[0])

    import torch

    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.deploy.companion import is_told, write_entry
    from ridgepoint.deploy.export import export_artefact
    from ridgepoint.deploy.find import find_artefact
    from ridgepoint.deploy.runtimes import model_file
    from ridgepoint.deploy.verify import verify
    from ridgepoint.run.folder import writing_into
    from ridgepoint.tasks.reading import find_task
    from ridgepoint.train.folder import load_training, training_of

    if out is None and training_of(run) != run:
        raise InputError(
            f"{run}: holds a fit, whose {find_artefact(run)[0]} is exported, checked and clocked already. For another "
            "form give --out, for example --out batch.onnx --dynamic-batch"
        )
    model, about = load_training(run)
    task = find_task(about.task)
    path = out or run / model_file(writer.name)
    path = destination(path, option="--out", mark=MODEL, force=force or is_told(path, writer))
    with writing_into(path):
        told = export_artefact(
            model,
            path,
            runtime=writer.name,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            trained_on=about.data,
            task=task.name,
            outputs=task.outputs,
            precision=precision,
            batch="dynamic" if dynamic_batch else "static",
        )
        parity = None
        if writer.runs_here:
            shape = (32, about.preprocessing.channels, about.preprocessing.height, about.preprocessing.width)
            noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
            parity = verify(model, load_artefact(path, runtime=writer.name), noise, agree=task.agree)
            write_entry(path, told, writer, parity=parity.document())
    document = {
        "file": str(path),
        "format": writer.suffix.removeprefix("."),
        "runtime": writer.name,
        "precision": told.precision,
        "parity": None if parity is None else parity.document(),
    }
    if json_output:
        emit_json(document)
        return
    if parity is None:
        console().print(
            f"{path}: written in {told.precision}, and not compared with its source: {writer.name} runs no files on "
            "this system"
        )
        return
    console().print(
        f"{path}: agrees with its source on {parity.count} random images, largest difference of outputs "
        f"{parity.max_abs_diff:.2g}. How good it is: ridgepoint eval {path} DATA"
    )


def _writer(runtime: str | None, format: str | None, out: Path | None) -> "Runtime":
    """The runtime that is named, or the first that writes what is asked for."""
    from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, formats, runtimes_for

    if format is not None and format not in formats():
        raise InputError(f"--format is '{format}'; {nearest(format, formats())}")
    fitting = [formats()[format].name] if format else runtimes_for(out) if out else []
    writer = find_runtime(runtime or next(iter(fitting), DEFAULT))
    if format is not None and writer.suffix != f".{format}":
        raise InputError(f"--format is '{format}', but --runtime {writer.name} takes {writer.suffix} files. Give one")
    if out is not None and out.suffix != writer.suffix:
        raise InputError(
            f"--out is '{out}'. Allowed: a name that ends in {writer.suffix}, by which runtimes know the file"
        )
    return writer
