"""How often classes are right: over all images, and class by class, which unequal classes hide."""

from typing import Any

import numpy as np

from ridgepoint.train.score import Score


def score_classes(outputs: Any, truth: Any) -> Score:
    """The share of right answers; `balanced` and `majority` beside it, and the recall of every class.

    `balanced` is the mean of the recalls: what the share would be if all classes had as many images. `majority` is what
    always answering the most frequent class would reach; a share near it has learnt nothing.

    Args:
        outputs: One number a class, (N, num_classes); the largest is the answer. N is at least 1.
        truth: The true classes, (N,).
    """
    outputs, labels = np.asarray(outputs), np.asarray(truth)
    right = outputs.argmax(1) == labels
    counts = np.bincount(labels, minlength=outputs.shape[1])
    hits = np.bincount(labels[right], minlength=outputs.shape[1])
    present = counts > 0
    return Score(
        value=float(right.mean()),
        parts={
            "balanced": float((hits[present] / counts[present]).mean()),
            "majority": float(counts.max() / len(labels)),
        },
        by_label=tuple(float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)),
        count=len(labels),
    )
