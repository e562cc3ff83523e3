"""`ridgepoint predict`: labels and probabilities from an exported file."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, emit_json


def predict(
    file: Annotated[Path, typer.Argument(help="An exported model.onnx, or the run folder that holds it.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="How many labels for each image.")] = 1,
    runtime: Annotated[str, typer.Option(help="The runtime that loads the file.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    json_output: JsonFlag = False,
) -> None:
    """Say what is in images; labels and preprocessing come from the file itself.

    Example: ridgepoint predict runs/fit/digits/model.onnx one.png
    """
    from ridgepoint.deploy.artefact import load_artefact

    artefact = load_artefact(file, runtime=runtime, threads=threads)
    found = [(image, artefact.predict(image, top=top)) for image in images]
    if json_output:
        emit_json(
            [
                {"image": str(image), "top": [{"label": name, "probability": share} for name, share in best]}
                for image, best in found
            ]
        )
        return
    for image, best in found:
        typer.echo(f"{image}: " + ", ".join(f"{name} {share:.3f}" for name, share in best))
