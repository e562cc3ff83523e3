"""What an exported file says of an image, in words, and where a task can do that, drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from ridgepoint.deploy.artefact import Artefact
from ridgepoint.errors import InputError
from ridgepoint.tasks.reading import find_task
from ridgepoint.tasks.task import Prediction


@runtime_checkable
class Drawing(Protocol):
    """A task whose answers lie in the image, so that they can be drawn on it."""

    def draw(self, image: Image.Image, outputs: np.ndarray, labels: Sequence[str]) -> Image.Image:
        """An upright image with the first of the outputs, (1, ...), drawn on it, at the image's own size."""
        ...


def predict(artefact: Artefact, image: str | Path | Image.Image, *, top: int = 1) -> Prediction:
    """The answer to one image; `top` is how many, where there are several.

    Raises:
        DataError: If the image cannot be read.
        InputError: If the runtime cannot run the file, an answer is no number, or the file's task is not known here.
    """
    outputs = artefact.answers(artefact.preprocessing(image))
    return find_task(artefact.task).decode(outputs, artefact.labels, top=top)[0]


def predict_and_draw(artefact: Artefact, image: str | Path, *, top: int = 1) -> tuple[Prediction, Image.Image]:
    """The answer to one image, and the image with that drawn on it.

    Raises:
        DataError: If the image cannot be read.
        InputError: As `predict`; also if answers of this kind are not drawn.
    """
    task, preprocessing = expect_drawing(artefact), artefact.preprocessing
    opened = preprocessing.open(image)
    outputs = artefact.answers(preprocessing(opened))
    said = find_task(artefact.task).decode(outputs, artefact.labels, top=top)[0]
    return said, task.draw(opened, outputs, artefact.labels)


def expect_drawing(artefact: Artefact) -> Drawing:
    """The file's task, if its answers can be drawn.

    Raises:
        InputError: If they cannot.
    """
    task = find_task(artefact.task)
    if not isinstance(task, Drawing):
        raise InputError(f"--draw draws answers on images; those of {task.name} are words. Leave it out")
    return task
