"""What comes after a file's own latency: making answers of its outputs, in an app's place."""

import time
from collections.abc import Sequence

import numpy as np

from ridgepoint.tasks.task import Task

MOST = 64
"""Images that are looked at."""


def decoding_ms(task: Task, outputs: np.ndarray, labels: Sequence[str]) -> float:
    """Milliseconds that the answer to an image takes once its outputs are there, on this machine; the median.

    What that takes may depend on the image, as suppression does: outputs of real images tell it.

    Args:
        task: Whose answers.
        outputs: Of real images, (N, ...), N at least 1.
        labels: One a class.
    """
    taken = []
    for index in range(min(len(outputs), MOST)):
        start = time.perf_counter()
        task.decode(outputs[index : index + 1], labels, top=1)
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken))
