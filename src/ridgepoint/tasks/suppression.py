"""A detector's file that makes final boxes itself, held against its source: box by box, and by the score of both."""

from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
import torch
from torch import nn

from ridgepoint.data import ArraySplit
from ridgepoint.deploy.artefact import Artefact
from ridgepoint.deploy.verify import Parity
from ridgepoint.errors import InputError, ParityError
from ridgepoint.tasks.task import Task

MOST_CHANGE = 0.005
"""Of a score: of boxes that are nearly as sure, another one may come first."""


@runtime_checkable
class FinalBoxes(Protocol):
    """A task whose answers are boxes, of which the best of every place remain."""

    def same_boxes(self, source: np.ndarray, exported: np.ndarray) -> Parity:
        """How far the final boxes of two files' rows, (N, ...) each, are the same."""
        ...


class Suppressed(msgspec.Struct, frozen=True, kw_only=True):
    """A file with suppression against its source.

    Attributes:
        parity: Of final boxes.
        score: Of the source's boxes, suppressed outside; None where there was no truth to compare with.
        in_file: Of the file's boxes.
    """

    parity: Parity
    score: float | None = None
    in_file: float | None = None


def expect_suppression(task: Task) -> FinalBoxes:
    """The task, if there is something to suppress in its answers.

    Raises:
        InputError: If there is not.
    """
    if not isinstance(task, FinalBoxes):
        raise InputError(f"--nms makes final boxes of a detector's; answers of {task.name} are none. Leave it out")
    return task


@torch.no_grad()
def verify_suppressed(
    model: nn.Module, artefact: Artefact, images: ArraySplit | torch.Tensor, task: Task
) -> Suppressed:
    """Compare the final boxes of a source's rows with those that its file gives.

    Args:
        model: The source, in eval mode, without suppression.
        artefact: The file.
        images: uint8 (N, C, H, W), cropped to the input size; where they come with truth, scores are compared too.
        task: What the answers are.

    Raises:
        ParityError: If an image has other boxes, or the scores differ by more than 0.005.
        InputError: If the task's answers are no boxes.
    """
    pixels = images.images if isinstance(images, ArraySplit) else images
    normalize = artefact.preprocessing.normalize
    rows = np.concatenate([model(normalize(chunk)).numpy() for chunk in pixels.split(16)])
    exported = artefact.logits(pixels.numpy())
    parity = expect_suppression(task).same_boxes(rows, exported)
    found = Suppressed(parity=parity)
    if isinstance(images, ArraySplit):
        before, after = (task.score(each, images.labels).value for each in (rows, exported))
        found = Suppressed(parity=parity, score=before, in_file=after)
    change = abs((found.score or 0.0) - (found.in_file or 0.0))
    if parity.agreement < 1.0 or change > MOST_CHANGE:
        raise ParityError(
            f"{artefact.session.path}: the file with suppression disagrees with its source on {parity.count} images: "
            f"{parity.agrees} {parity.agreement:.4f} (allowed 1.0), {task.metric} changed by {change:.4f} (allowed "
            f"{MOST_CHANGE}). Do not ship it: leave --nms out and suppress in the app"
        )
    return found
