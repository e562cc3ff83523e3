"""The images by which ranges of activations are found: of the training part only, of every class, drawn by a seed."""

import hashlib
from dataclasses import dataclass

import numpy as np

from ridgepoint.data import ArraySplit, Preprocessing, Split, decode
from ridgepoint.run.quantised import Calibrated
from ridgepoint.seeds import seed_for

IMAGES, WATCHED = 128, 64


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images of the training part, as they go into a network: uint8 (N, C, H, W).

    Attributes:
        images: What ranges are found by.
        watched: Others, by which layers are told apart.
        about: What is remembered of the former.
    """

    images: np.ndarray
    watched: np.ndarray
    about: Calibrated


def calibration_of(train: Split, preprocessing: Preprocessing, *, seed: int) -> Calibration:
    """Draw and decode them, centre-cropped as for evaluation.

    Raises:
        DataError: If an image cannot be decoded any more.
    """
    order = stratified(train.labels, seed)
    parts = [train.at(order[:IMAGES]), train.at(order[IMAGES : IMAGES + WATCHED])]
    if not len(parts[1]):  # so few that all of them calibrate
        parts[1] = parts[0]
    arrays: list[ArraySplit] = [decode(part, preprocessing, train=False) for part in parts]
    about = Calibrated(count=len(parts[0]), seed=seed, digest=_digest(parts[0]))
    return Calibration(arrays[0].images.numpy(), arrays[1].images.numpy(), about)


def stratified(labels: np.ndarray, seed: int) -> np.ndarray:
    """An order of all images in which every beginning has the classes in parts as equal as they can be; int (N,)."""
    order = np.random.default_rng(seed_for(seed, "calibration")).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    kinds = labels if np.issubdtype(labels.dtype, np.integer) else np.zeros(len(labels), np.int64)
    for kind in np.unique(kinds):
        own = order[kinds[order] == kind]
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn[order], kind="stable")]


def _digest(part: Split) -> str:
    total = hashlib.blake2b(digest_size=16)
    for name, content in zip(part.ids, part.digests, strict=True):
        total.update(name.encode(errors="surrogateescape") + b"\0" + content)
    return total.hexdigest()
