"""`ridgepoint predict`: what an exported file says of images."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.errors import DataError, InputError, printable
from ridgepoint.files import make_folder, save_atomic

TOLD = 5  # how many of the images that cannot be read the last message names


def predict(
    file: Annotated[Path, typer.Argument(help="An exported file, or the run folder that holds it.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many labels for each image.")] = 1,
    runtime: Annotated[
        str | None, typer.Option(help="The runtime that loads the file.  [default: the file's own]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    draw: Annotated[
        Path | None,
        typer.Option(help="A folder for the images with the answers drawn on them, where they lie in those."),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Say what is in images; labels and preprocessing come from the file itself.

    Images that cannot be read are named at the end, with exit code 2; the others are answered.

    Example: ridgepoint predict runs/fit/digits/model.onnx one.png
    """
    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.tasks.predict import expect_drawing, predict_and_draw
    from ridgepoint.tasks.predict import predict as answer

    artefact = load_artefact(file, runtime=runtime, threads=threads)
    if draw is not None:
        expect_drawing(artefact)
        make_folder(draw)
    found: list[dict[str, object]] = []
    unread: list[str] = []
    for number, image in enumerate(_files(images)):
        try:
            if draw is None:
                said = answer(artefact, image, top=top)
            else:
                said, drawn = predict_and_draw(artefact, image, top=top)
                target = _free(draw, image, number)
                save_atomic(target, drawn.save)
        except DataError as error:
            unread.append(str(error))
            found.append({"image": str(image), "error": str(error)})
            continue
        found.append({"image": str(image), **said.document} | ({} if draw is None else {"drawn": str(target)}))
        if not json_output:
            console().print(f"{image}: {said.text}")
    if json_output:
        emit_json(found)
    if unread:
        more = f"; and {len(unread) - TOLD} more" if len(unread) > TOLD else ""
        raise DataError(
            unread[0]
            if len(found) == 1
            else f"{len(unread)} of {len(found)} images could not be read: {'; '.join(unread[:TOLD])}{more}"
        )


def _free(folder: Path, image: Path, number: int) -> Path:
    """Where a drawn image goes: by the image's name, or its number where that is taken; never over another file."""
    for name in (image.stem, f"{image.stem}-{number}"):
        if not (target := folder / f"{name}.png").exists():
            return target
    raise InputError(f"--draw {folder}: holds {target.name} already. Give an empty folder, or a new one")


def _files(given: list[Path]) -> list[Path]:
    """The files that were named, and the images below the folders that were."""
    from ridgepoint.data.layout import images_below

    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        below, notes = images_below(path)
        files += below
        for note in notes:
            typer.echo(printable(f"{path}: {note}"), err=True)
    return files
