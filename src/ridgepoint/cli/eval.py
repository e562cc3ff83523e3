"""`ridgepoint eval`: how good an exported file is on a data set."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json

SLIGHT_MS = 0.1
"""What is not worth a word."""


def evaluate(
    file: Annotated[Path, typer.Argument(help="An exported file, or the run folder that holds it.")],
    data: Annotated[str, typer.Argument(help="As for fit: class folders, 'digits', a torchvision name.")],
    split: Annotated[
        str | None,
        typer.Option(help="all, train, val or test.  [default: test of the data it was trained on, all of others]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The seed that drew the parts, where the file does not tell it.")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="The runtime that loads the file.  [default: the file's own]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    device: Annotated[
        str, typer.Option(help="Where the file runs: 'host', this machine, ssh://USER@HOST or adb://SERIAL.")
    ] = "host",
    data_root: Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """How good an exported file is in its runtime: on what its training never saw of its data, or on all of others.

    Example: ridgepoint eval runs/fit/digits/model.onnx digits
    """
    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.deploy.companion import precision_of
    from ridgepoint.deploy.places.find import find_place
    from ridgepoint.tasks.evaluation import choose_part, score_on
    from ridgepoint.tasks.reading import find_task

    artefact = load_artefact(file, runtime=runtime, threads=threads, place=find_place(device))
    part = choose_part(artefact, data, split=split, seed=seed, data_root=data_root)
    (found, after_ms), task = score_on(artefact, part), find_task(artefact.task)
    precision = precision_of(artefact.session.path, artefact.session.precision)
    if json_output:
        told = {
            "file": str(file),
            "device": device,
            "precision": precision,
            "data": data,
            "split": part.split,
            "trained_on_it": part.known,
            "note": part.note,
        }
        parts = found.told(task.by_label, artefact.labels)
        emit_json(
            told | {"task": task.name, task.metric: found.value, **parts, "count": found.count, "decoding_ms": after_ms}
        )
        return
    of = "" if precision == "float32" else f", {precision},"
    console().print(f"{file}{of} on {data} ({part.split}, {found.count} images): {task.metric} {found.value:.4f}")
    console().print(part.note)
    for line in task.tell(found, artefact.labels):
        console().print(line)
    if after_ms > SLIGHT_MS:
        console().print(
            f"Making an answer of the file's outputs takes {after_ms:.2f} ms an image here (median), beside its latency"
        )
