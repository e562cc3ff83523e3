"""How often answers are right: over all images, and class by class, which unequal classes hide."""

from collections.abc import Sequence

import msgspec
import numpy as np


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of right answers, 0..1.

    Attributes:
        accuracy: Of all images.
        balanced: The mean of the classes' recalls: what accuracy would be if all classes had as many images.
        majority: What always answering the most frequent class would reach; an accuracy near it has learnt nothing.
        recall: By class; None for a class without images.
        count: Images.
    """

    accuracy: float
    balanced: float
    majority: float
    recall: dict[str, float | None]
    count: int


def accuracy_of(predicted: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Accuracy:
    """The accuracy of predicted classes.

    Args:
        predicted: (N,), indices into the classes; N is at least 1.
        labels: (N,), the true ones.
        classes: Their names.
    """
    right = predicted == labels
    counts = np.bincount(labels, minlength=len(classes))
    hits = np.bincount(labels[right], minlength=len(classes))
    present = counts > 0
    return Accuracy(
        accuracy=float(right.mean()),
        balanced=float((hits[present] / counts[present]).mean()),
        majority=float(counts.max() / len(labels)),
        recall={
            name: float(hit / count) if count else None for name, hit, count in zip(classes, hits, counts, strict=True)
        },
        count=len(labels),
    )
