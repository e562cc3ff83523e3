"""An exported file as users meet it: labels, preprocessing and answers, all from the one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ridgepoint.arch.network import Network, answer_shape
from ridgepoint.arch.suppression import COLUMNS, Suppression
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.about import EXPORT_AGAIN, About
from ridgepoint.deploy.find import find_artefact, told_beside, told_inside
from ridgepoint.deploy.memory_limit import limited_memory
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.errors import InputError, shown

CHUNK = 64  # images that go through a network at once: more are not faster, and their feature maps fill the memory


@dataclass(frozen=True)
class Artefact:
    """A loaded exported file with what is known about it.

    Attributes:
        session: The file in its runtime.
        labels: One name a class.
        preprocessing: How an image becomes the input.
        network: What was trained.
        trained_on: The data it was trained on, where that is known.
        task: What its answers are.
        suppression: How the graph makes final boxes of a detector's rows, where it gives those: its answers are then
            rows again, one for each box.
        probabilities: Whether the graph ends in a softmax of its own, so that its answers are no logits any more.
    """

    session: Session
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    network: Network
    trained_on: TrainedOn | None = None
    probabilities: bool = False
    task: str = "classification"
    suppression: Suppression | None = None

    def logits(self, images_uint8: np.ndarray) -> np.ndarray:
        """Answers, (B, ...), for cropped images, uint8 (B, C, H, W); of a classifier logits; a chunk at a time.

        Raises:
            InputError: If the runtime cannot run the file, or an answer is no number.
        """
        chunks = [images_uint8[start : start + CHUNK] for start in range(0, max(len(images_uint8), 1), CHUNK)]
        return np.concatenate([self.answers(self.preprocessing.normalize(chunk)) for chunk in chunks])

    def answers(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Answers, (B, ...), for inputs as the network takes them; of a classifier logits, whatever its graph gives.

        Raises:
            InputError: If the runtime cannot run the file, or an answer is no number.
        """
        found = finite(self.session.run(x_BCHW), self.session.path)
        if self.suppression is not None:
            return rows_of(found, len(self.labels))
        return np.log(np.maximum(found, np.finfo(np.float32).tiny)) if self.probabilities else found


def load_artefact(path: str | Path, *, runtime: str | None = None, threads: int = 1, place: Place = LOCAL) -> Artefact:
    """Load a file that ridgepoint exported, and try it once.

    Args:
        path: The artefact, or the folder of a run that holds one.
        runtime: What loads it; by default what it was written for.
        threads: Threads inside one run.
        place: Where it runs.

    Raises:
        InputError: If the file is missing, broken, was not exported by ridgepoint, is not the one that is told of, or
            does not do what it says.
    """
    place.expect_answers()
    path, loading = find_artefact(Path(path), runtime)
    told = told_beside(path, loading)
    session = place.open(path, runtime=loading.name, threads=threads, pinned=False)
    about = told or told_inside(path, loading)
    _check(session, about)
    probabilities = _try(session, about, size_bytes=loading.size_bytes(path))
    known = (about.labels, about.preprocessing, about.network, about.trained_on)
    return Artefact(session, *known, probabilities, about.task, about.suppression)


def _check(session: Session, about: About) -> None:
    """What the metadata say of the input and the classes agrees with the graph and with itself."""
    labels, preprocessing, network = about.labels, about.preprocessing, about.network
    prepared = (preprocessing.channels, preprocessing.height, preprocessing.width)
    given: dict[str, Any] = {"preprocessing": prepared, "network": tuple(network.input)}
    for name, shape in given.items():
        if len(session.input_shape) != 3 or any(
            size not in (0, asked) for size, asked in zip(session.input_shape, shape, strict=True)
        ):
            raise InputError(
                f"{session.path}: its graph takes images of {session.input_shape}, but its {name} says {shape} "
                f"(channels, height, width). {EXPORT_AGAIN}"
            )
    if about.suppression is not None and network.head.answers != "boxes":
        raise InputError(
            f"{session.path}: says that it makes final boxes, but its network gives {network.head.answers}. "
            f"{EXPORT_AGAIN}"
        )
    if not labels or len(labels) != network.num_classes:
        raise InputError(
            f"{session.path}: has {len(labels)} labels, but its network {network.num_classes} classes. {EXPORT_AGAIN}"
        )


def rows_of(boxes_BD6: np.ndarray, num_classes: int) -> np.ndarray:
    """Final boxes as rows (B, D, 4 + K): a box, and its score in the column of its class; of no box, zeros."""
    labels_BD1 = boxes_BD6[..., 5:]
    scores = np.where(labels_BD1 == np.arange(num_classes), boxes_BD6[..., 4:5], 0.0)
    return np.concatenate([boxes_BD6[..., :4], scores], -1, dtype=np.float32)


def _try(session: Session, about: About, *, size_bytes: int) -> bool:
    """Run two images; whether the answers are probabilities of classes already."""
    network, suppression = about.network, about.suppression
    shape_CHW, wanted = network.input, (1, *answer_shape(network))
    if suppression is not None:
        wanted = (1, suppression.most_boxes, COLUMNS)
    noise = np.random.default_rng(0).standard_normal((1, *shape_CHW))
    images = [np.zeros((1, *shape_CHW), np.float32), noise.astype(np.float32)]
    with limited_memory(size_bytes, images[0].nbytes):
        answers = [session.run(image) for image in images]
    for found in answers:
        kind, size = getattr(found, "dtype", type(found).__name__), getattr(found, "shape", ())
        if size != wanted or kind != np.float32:
            each = ", one for each label" if len(wanted) == 2 else ""
            raise InputError(
                f"{session.path}: gives {kind} of shape {shown(size)} for one image. Allowed: float32 logits, "
                f"{wanted}{each}. {EXPORT_AGAIN}"
            )
        finite(found, session.path)
    several = len(wanted) == 2 and wanted[1] > 1
    return several and all(found.min() >= 0 and abs(float(found.sum()) - 1) < 1e-3 for found in answers)


def finite(answers: np.ndarray, path: Path) -> np.ndarray:
    """The answers of a network, if all are numbers.

    Raises:
        InputError: If one is infinite or no number; the message names the file.
    """
    if not np.isfinite(answers).all():
        raise InputError(
            f"{path}: answers with values that are infinite or no numbers. Its weights are damaged, or its training "
            "diverged: train and export again"
        )
    return answers
