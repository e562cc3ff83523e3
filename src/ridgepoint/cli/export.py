"""`ridgepoint export`: a trained model as a checked file, in float or, where that is worth it, in int8."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ridgepoint.cli.output import MODEL, Busy, ForceFlag, JsonFlag, console, destination, emit_json
from ridgepoint.errors import InputError, nearest

if TYPE_CHECKING:
    from ridgepoint.deploy.runtimes.runtime import Runtime
    from ridgepoint.deploy.verify import Parity
    from ridgepoint.nn.published import Published


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="A folder of `train` or `distill`, or a fit's: its chosen network. Or a whole detector or segmenter "
            "that others published, such as ssdlite_mobilenetv2_coco."
        ),
    ],
    runtime: Annotated[
        str | None, typer.Option(help="What the file is for and is checked in.  [default: by --format or --out]")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="What its name ends in, such as onnx, xml or tflite.  [default: the runtime's]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file.  [default: model.onnx or the like in the folder; of published weights, in runs/export/NAME]"
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32 or float16, where the runtime writes both.  [default: its usual one]")
    ] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Leave the batch size open.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also in 8-bit integers, if they are as good, faster and smaller.")
    ] = False,
    max_drop: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="With --int8: points of accuracy that it may lose.")
    ] = 1.0,
    nms: Annotated[
        bool, typer.Option("--nms", help="Also a detector that makes final boxes itself, in the folder nms.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(help="With --int8 or --nms: the images of the training.  [default: where they lay then]"),
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")] = None,
    busy: Busy = False,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Fold, export, reload in the runtime and compare with the source; labels and preprocessing go along.

    With --int8 the float file is quantised by training images, in the run's folder `int8`. It is written only if images
    that no training has seen tell that it loses less than --max-drop, and if it is faster by the clock and smaller than
    the float file; else the exit code is 3, and the reason is told.

    With --nms a detector's file is written twice: as ever, giving rows for an app to make final boxes of, and in the
    folder `nms` giving these.

    Example: ridgepoint export runs/train/mobilenetv3_small_050 --int8
    """
    writer = _writer(runtime, format, out)
    writer.expect_writing()
    writer.expect_precision(precision or writer.precisions[0])
    from ridgepoint.train.whole import find_whole

    published = find_whole(run)
    if int8:
        if published is not None:
            raise InputError(
                f"--int8 is judged by images that a training has not seen, and {published.name} has none here. Train "
                "from it on images of your own, and export that; or leave --int8 out"
            )
        if nms:
            raise InputError("--int8 and --nms are both given, and make two files. Give one, then the other")
        if dynamic_batch:
            raise InputError("--int8 and --dynamic-batch are both given. int8 is clocked for one image: give one")
        if precision is not None:
            raise InputError(f"--int8 and --precision {precision} are both given, and name two precisions: give one")
        from ridgepoint.cli.int8 import export_int8

        options = {"most_drop": max_drop / 100, "data": data, "data_root": data_root, "busy": busy}
        export_int8(run, writer, out=out, force=force, json_output=json_output, **options)  # type: ignore[arg-type]
        return

    from ridgepoint.deploy.find import find_artefact
    from ridgepoint.deploy.runtimes import model_file
    from ridgepoint.train.folder import training_of

    if published is not None:
        run = Path("runs") / "export" / published.network
        if out is None or nms:
            run.mkdir(parents=True, exist_ok=True)
    if nms:
        if dynamic_batch:
            raise InputError("--nms and --dynamic-batch are both given. Suppression is of one image: give one of them")
        if precision is not None:
            raise InputError(f"--nms and --precision {precision} are both given. Suppression is in float32: give one")
        from ridgepoint.cli.nms import export_nms

        where: dict[str, Any] = {"data": data, "data_root": data_root, "out": out, "published": published}
        export_nms(run, writer, force=force, json_output=json_output, **where)
        return
    if published is None and out is None and training_of(run) != run:
        raise InputError(
            f"{run}: holds a fit, whose {find_artefact(run)[0]} is exported, checked and clocked already. For another "
            "form give --out, for example --out batch.onnx --dynamic-batch"
        )
    path = out or run / model_file(writer.name)
    path, written, parity = write_float(
        run, writer, path, precision=precision, dynamic_batch=dynamic_batch, force=force, published=published
    )
    document = float_document(path, writer, written, parity)
    if json_output:
        emit_json(document)
        return
    if parity is None:
        console().print(
            f"{path}: written in {written}, and not compared with its source: {writer.name} runs no files on "
            "this system"
        )
        return
    console().print(
        f"{path}: agrees with its source on {parity.count} random images, largest difference of outputs "
        f"{parity.max_abs_diff:.2g}. How good it is: ridgepoint eval {path} DATA"
    )


def write_float(
    run: Path,
    writer: "Runtime",
    path: Path,
    *,
    precision: str | None = None,
    dynamic_batch: bool = False,
    force: bool = False,
    published: "Published | None" = None,
) -> tuple[Path, str, "Parity | None"]:
    """The file in float, its precision, and how far it agrees with its source, where the runtime runs here.

    Of published weights nothing is read from the run's folder.
    """
    import torch

    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.deploy.companion import is_told, write_entry
    from ridgepoint.deploy.export import export_artefact
    from ridgepoint.deploy.verify import verify
    from ridgepoint.run.folder import writing_into
    from ridgepoint.tasks.reading import find_task
    from ridgepoint.train.folder import load_training
    from ridgepoint.train.whole import load_whole

    model, about = load_whole(published) if published else load_training(run)
    task = find_task(about.task)
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
        if not writer.runs_here:
            return path, told.precision, None
        shape = (32, about.preprocessing.channels, about.preprocessing.height, about.preprocessing.width)
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        parity = verify(model, load_artefact(path, runtime=writer.name), noise, agree=task.agree)
        write_entry(path, told, writer, parity=parity.document())
        return path, told.precision, parity


def float_document(path: Path, writer: "Runtime", precision: str, parity: "Parity | None") -> dict[str, Any]:
    """What is told of a file in float."""
    return {
        "file": str(path),
        "format": writer.suffix.removeprefix("."),
        "runtime": writer.name,
        "precision": precision,
        "parity": None if parity is None else parity.document(),
    }


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
