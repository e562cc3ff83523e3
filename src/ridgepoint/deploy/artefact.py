"""An exported file as users meet it: labels, preprocessing and predictions, all from the one file."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from ridgepoint.arch.network import Network
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.runtimes import Session, open_session
from ridgepoint.errors import InputError


@dataclass(frozen=True)
class Artefact:
    """A loaded exported file with what its metadata tells."""

    session: Session
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    network: Network

    def logits(self, images_uint8: np.ndarray) -> np.ndarray:
        """Logits, (B, num_classes), for cropped images, uint8 (B, C, H, W)."""
        return self.session.run(self.preprocessing.normalize(images_uint8))

    def predict(self, image: str | Path | Image.Image, *, top: int = 1) -> list[tuple[str, float]]:
        """The most probable labels with their probabilities.

        Raises:
            DataError: If the image cannot be read.
        """
        probabilities = softmax(self.session.run(self.preprocessing(image)))[0]
        order = np.argsort(-probabilities)[:top]
        return [(self.labels[index], float(probabilities[index])) for index in order]


def load_artefact(path: str | Path, *, runtime: str = "onnxruntime", threads: int = 1) -> Artefact:
    """Load a file that ridgepoint exported.

    Raises:
        InputError: If the file is missing, broken, or was not exported by ridgepoint.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.onnx"
    session = open_session(path, runtime=runtime, threads=threads, pinned=False)
    try:
        labels = msgspec.json.decode(session.metadata["ridgepoint.labels"], type=tuple[str, ...])
        preprocessing = Preprocessing.from_json(session.metadata["ridgepoint.preprocessing"])
        network = msgspec.json.decode(session.metadata["ridgepoint.network"], type=Network)
    except (KeyError, msgspec.MsgspecError):
        raise InputError(
            f"{path}: holds no labels and preprocessing. Give a file that `ridgepoint fit` or `ridgepoint export` wrote"
        ) from None
    return Artefact(session, labels, preprocessing, network)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
