"""What an exported file says of an image."""

from pathlib import Path

from PIL import Image

from ridgepoint.deploy.artefact import Artefact
from ridgepoint.tasks.reading import find_task
from ridgepoint.tasks.task import Prediction


def predict(artefact: Artefact, image: str | Path | Image.Image, *, top: int = 1) -> Prediction:
    """The answer to one image; `top` is how many, where there are several.

    Raises:
        DataError: If the image cannot be read.
        InputError: If the runtime cannot run the file, an answer is no number, or the file's task is not known here.
    """
    outputs = artefact.answers(artefact.preprocessing(image))
    return find_task(artefact.task).decode(outputs, artefact.labels, top=top)[0]
