"""`ridgepoint eval`: the accuracy of an exported file on a data set."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, emit_json


def evaluate(
    file: Annotated[Path, typer.Argument(help="An exported model.onnx, or the run folder that holds it.")],
    data: Annotated[str, typer.Argument(help="As for fit: class folders, 'digits', a torchvision name.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="The seed that split the data, where no split is given.")] = 0,
    runtime: Annotated[str, typer.Option(help="The runtime that loads the file.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    data_root: Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Accuracy of an exported file in its runtime, on the split that `fit` kept untouched or another.

    Example: ridgepoint eval runs/fit/digits/model.onnx digits
    """
    from ridgepoint.data import decode, detect
    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.errors import DataError, InputError, nearest

    if split not in ("train", "val", "test"):
        raise InputError(f"--split is '{split}'; {nearest(split, ('train', 'val', 'test'))}")
    artefact = load_artefact(file, runtime=runtime, threads=threads)
    dataset = detect(data, seed=seed, data_root=data_root)
    if dataset.classes != artefact.labels:
        raise DataError(
            f"{data}: its classes ({', '.join(dataset.classes[:8])}, ...) are not the file's "
            f"({', '.join(artefact.labels[:8])}, ...). Give the data set that the model was trained for"
        )
    images = decode(getattr(dataset, split), artefact.preprocessing, train=False)
    right = artefact.logits(images.images.numpy()).argmax(1) == images.labels.numpy()
    per_class = {
        name: float(right[images.labels.numpy() == index].mean()) for index, name in enumerate(dataset.classes)
    }
    result = {
        "file": str(file),
        "data": data,
        "split": split,
        "count": len(images),
        "accuracy": float(right.mean()),
        "recall": per_class,
    }
    if json_output:
        emit_json(result)
        return
    typer.echo(f"{file} on {data} ({split}, {len(images)} images): accuracy {result['accuracy']:.4f}")
    for name, recall in per_class.items():
        typer.echo(f"  {name:>20}  recall {recall:.3f}")
