"""How much of each class is found: intersection over union, over all pixels of all images, and image by image.

Shapes: N images, C classes, h x w an answer's size, H x W a mask's.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ridgepoint.data.masks.classes import IGNORED
from ridgepoint.train.score import Score

_AT_ONCE = 2**24  # logits that are enlarged at once


def label_maps(outputs: Any, size: tuple[int, int]) -> Iterator[Tensor]:
    """The most probable class of every pixel, uint8 (n, H, W), of some images after others.

    Logits are enlarged, then compared: the borders of classes are finer than the grid of the answers.

    Args:
        outputs: Logits, (N, C, h, w); a tensor or an array.
        size: H and W.
    """
    logits = torch.as_tensor(outputs)
    step = max(_AT_ONCE // (logits.shape[1] * size[0] * size[1]), 1)
    for chunk in logits.split(step):
        enlarged = functional.interpolate(chunk.float(), size=size, mode="bilinear", align_corners=False)
        yield enlarged.argmax(1).to(torch.uint8)


def confusions(outputs: Any, truth: Any) -> np.ndarray:
    """Pixels by true class (rows) and answer of every image, int64 (N, C, C); those that count for nothing left out."""
    masks, count = torch.as_tensor(truth), int(outputs.shape[1])
    found, start = [], 0
    for maps in label_maps(outputs, (int(masks.shape[1]), int(masks.shape[2]))):
        for mask, answer in zip(masks[start : start + len(maps)], maps, strict=True):
            counted = mask != IGNORED
            pairs = mask[counted].long() * count + answer[counted].long()
            found.append(pairs.bincount(minlength=count * count).reshape(count, count).numpy())
        start += len(maps)
    return np.stack(found)


def intersections_over_unions(confusion: np.ndarray) -> np.ndarray:
    """Of every class, (..., C), from pixels by true class and answer, (..., C, C); NaN where a class is in neither."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    unions = confusion.sum(-1) + confusion.sum(-2) - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        ious: np.ndarray = hits / unions
    return ious


def mean_iou(confusion_NCC: np.ndarray) -> float:
    """Over the classes that are there, all pixels of all images together; 0 where there is none."""
    ious = intersections_over_unions(confusion_NCC.sum(0))
    there = np.isfinite(ious)
    return float(ious[there].mean()) if there.any() else 0.0


def score_maps(outputs: Any, truth: Any) -> Score:
    """The mean IoU over the classes that are there, with all pixels of all images together.

    Beside it: the share of right pixels; the mean over images of each one's own mean IoU; and `majority`, what the mean
    IoU would be if every pixel were called the most frequent class.

    Args:
        outputs: Logits, (N, C, h, w). N is at least 1.
        truth: Masks, uint8 (N, H, W); 255 counts for nothing.
    """
    each = confusions(outputs, truth)
    confusion = each.sum(0)
    ious = intersections_over_unions(confusion)
    of_images = [float(np.nanmean(row)) for row in intersections_over_unions(each) if np.isfinite(row).any()]
    counts = confusion.sum(1)
    pixels, kinds = max(int(counts.sum()), 1), max(int((counts > 0).sum()), 1)
    return Score(
        value=mean_iou(each),
        parts={
            "pixel_accuracy": float(np.diagonal(confusion).sum() / pixels),
            "per_image": float(np.mean(of_images)) if of_images else 0.0,
            "majority": float(counts.max() / pixels / kinds),
        },
        by_label=tuple(float(iou) if np.isfinite(iou) else None for iou in ious),
        count=len(each),
    )
