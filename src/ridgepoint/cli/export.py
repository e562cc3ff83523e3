"""`ridgepoint export`: a trained model as a checked file."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import MODEL, ForceFlag, JsonFlag, console, destination, emit_json

FORMATS = ("onnx",)


def export(
    run: Annotated[Path, typer.Argument(help="A folder of `train` or `distill`, or a fit's: its chosen network.")],
    format: Annotated[str, typer.Option(help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="The file.  [default: model.onnx in the folder]")] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Leave the batch size open.")] = False,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Fold, export, reload in the runtime and compare with the source; labels and preprocessing go inside.

    Example: ridgepoint export runs/train/mobilenetv3_small_050 --dynamic-batch
    """
    from ridgepoint.errors import InputError, nearest

    if format not in FORMATS:
        raise InputError(f"--format is '{format}'; {nearest(format, FORMATS)}")
    if out is not None and out.suffix != f".{format}":
        raise InputError(f"--out is '{out}'. Allowed: a name that ends in .{format}, by which runtimes know the file")

    import msgspec
    import torch

    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.deploy.export import export_onnx
    from ridgepoint.deploy.verify import verify
    from ridgepoint.run.folder import writing_into
    from ridgepoint.train.folder import load_training, training_of

    if out is None and training_of(run) != run:
        raise InputError(
            f"{run}: holds a fit, whose {run / 'model.onnx'} is exported, checked and clocked already. For another "
            "form give --out, for example --out batch.onnx --dynamic-batch"
        )
    model, about = load_training(run)
    path = destination(out or run / "model.onnx", option="--out", mark=MODEL, force=force)
    with writing_into(path):
        export_onnx(
            model,
            path,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            trained_on=about.data,
            batch="dynamic" if dynamic_batch else "static",
        )
    shape = (32, about.preprocessing.channels, about.preprocessing.height, about.preprocessing.width)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    parity = verify(model, load_artefact(path), noise)
    document = {"file": str(path), "format": format, "parity": msgspec.to_builtins(parity)}
    if json_output:
        emit_json(document)
        return
    console().print(
        f"{path}: agrees with its source on {parity.count} random images, largest logit difference "
        f"{parity.max_abs_diff:.2g}. Its accuracy: ridgepoint eval {path} DATA"
    )
