"""Anchors chosen from the boxes of the training images."""

import warnings

import numpy as np

from ridgepoint.tasks.boxes.rows import CROWD, LABEL, PLACE

COUNTS = (4, 6, 9, 12, 16, 20, 24)
CLOSE, ENOUGH = 0.65, 0.9
LARGE = ((0.45, 0.45), (0.85, 0.85))
"""There in any case, where none is as large: a photograph of tomorrow may be taken from nearer."""

_LOOKED_AT = 20_000
_DIGITS = 4


def choose_anchors(truth_NM6: np.ndarray, *, seed: int = 0) -> tuple[tuple[float, float], ...]:
    """Widths and heights, in parts of the image, that boxes of all classes lie close to; from small to large.

    They are centres of k-means over the logarithms of widths and heights, in which rare classes weigh more than their
    number; as few as are enough for nine tenths of every class's boxes to have one of almost their shape (an IoU of
    0.65, were both in one place), 4 to 24.

    Source: YOLO9000, arXiv:1612.08242, section 2 ("dimension clusters").
    Differs: logarithms in place of the IoU distance, which means the same for boxes alike; the number follows the data.

    Args:
        truth_NM6: Of the training images; see `rows`.
        seed: Of k-means, and of what is looked at of very many boxes.
    """
    from sklearn.cluster import KMeans

    rows = truth_NM6[(truth_NM6[..., LABEL] >= 0) & (truth_NM6[..., CROWD] == 0)].astype(np.float64)
    if len(rows) > _LOOKED_AT:
        rows = rows[np.random.default_rng(seed).choice(len(rows), _LOOKED_AT, replace=False)]
    labels, places = rows[:, LABEL].astype(int), rows[:, PLACE]
    sides_N2 = np.maximum(places[:, 2:] - places[:, :2], 1e-3)
    weights = 1.0 / np.sqrt(np.bincount(labels)[labels])
    logs, distinct = np.log(sides_N2), len(np.unique(sides_N2, axis=0))
    centres = sides_N2[:1]
    for count in COUNTS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer distinct boxes than centres
            found = KMeans(min(count, distinct), n_init=4, random_state=seed).fit(logs, sample_weight=weights)
        centres = np.exp(found.cluster_centers_)
        close_N = _shape_iou(sides_N2, centres).max(1) >= CLOSE
        shares = [close_N[labels == label].mean() for label in np.unique(labels)]
        if min(shares) >= ENOUGH or count >= distinct:
            break
    largest = centres.prod(1).max()
    centres = np.concatenate([centres, [each for each in LARGE if each[0] * each[1] > 1.5 * largest] or centres[:0]])
    ordered = centres[np.argsort(centres.prod(1), kind="stable")]
    return tuple(dict.fromkeys((round(float(wide), _DIGITS), round(float(high), _DIGITS)) for wide, high in ordered))


def _shape_iou(sides_N2: np.ndarray, others_K2: np.ndarray) -> np.ndarray:
    """Of boxes in one place, (N, K)."""
    both_NK = np.minimum(sides_N2[:, None], others_K2).prod(2)
    overlap: np.ndarray = both_NK / (sides_N2.prod(1)[:, None] + others_K2.prod(1) - both_NK)
    return overlap
