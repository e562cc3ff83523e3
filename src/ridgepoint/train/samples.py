"""A few images as a network is shown them, kept beside its training so that a person can see a wrong augmentation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ridgepoint.files import write_atomic
from ridgepoint.run.records import read_record
from ridgepoint.train.answers import probabilities
from ridgepoint.train.batches import Batches
from ridgepoint.train.curriculum import WHOLE, Phase
from ridgepoint.train.lessons import Lessons

SAMPLES = "samples.json"
STEPS, ROWS = 3, 4  # of a training; images of one step are all mixed in the same way
BEST = 3
TITLES = {
    "D1": "D1: crop and RandAugment",
    "D2": "D2: crop and mixup",
    "D3": "D3: extra images, crop and RandAugment",
}

Shares = tuple[tuple[str, float], ...]
"""Class names with their shares or probabilities, the largest first."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An image as the network sees it, and what it should say.

    Attributes:
        group: What it is shown together with.
        png: The image, before normalisation.
        id: Its name; of two that are mixed, the first one's.
        labels: What it is called; two classes where two images are mixed.
        teacher: A teacher's best answers.
    """

    group: str
    png: bytes
    id: str
    labels: Shares
    teacher: Shares = ()


def batch_samples(batches: Batches, phases: Sequence[Phase], classes: Sequence[str]) -> list[Sample]:
    """From the first steps as they would be in each phase of a training."""
    found = []
    for start in sorted({phase.start for phase in (WHOLE, *phases)}):
        for step in range(STEPS):
            batch = batches.seen(step, start, slice(ROWS))
            targets = batch.targets.cpu()
            if targets.ndim == 1:
                targets = torch.nn.functional.one_hot(targets, len(classes))
            images = batch.images.round().to("cpu", torch.uint8)
            group = f"from {start:.0%} of the training, {images.shape[-1]} px"
            found += [
                Sample(group=group, png=_png(image), id=name, labels=_largest(target, classes))
                for image, name, target in zip(images, batch.ids, targets, strict=True)
            ]
    return found


def lesson_samples(lessons: Mapping[str, Lessons], classes: Sequence[str], temperature: float) -> list[Sample]:
    """From every set of a distillation, with the teacher's answers; images from all over the set."""
    found = []
    for name, given in lessons.items():
        rows = np.linspace(0, len(given.views) - 1, min(STEPS * ROWS, len(given.views))).astype(np.int64)
        lesson = given.lesson(rows, np.zeros_like(rows))
        answers = probabilities(lesson.answers, len(classes), temperature=temperature)
        labels = given.views.labels(rows, lesson.seeds)
        found += [
            Sample(
                group=TITLES[name],
                png=_png(image),
                id=image_id,
                labels=_largest(label, classes),
                teacher=_largest(answer, classes),
            )
            for image, image_id, label, answer in zip(
                lesson.images, given.views.ids(rows), labels, answers, strict=True
            )
        ]
    return found


def write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """Keep samples in a run folder.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    write_atomic(folder / SAMPLES, msgspec.json.encode(samples))


def read_samples(folder: Path) -> list[Sample]:
    """The samples of a run folder; none where none were kept.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / SAMPLES
    return (
        read_record(path, list[Sample], otherwise="Remove it, and the page is made without") if path.is_file() else []
    )


def _largest(shares: Tensor, classes: Sequence[str]) -> Shares:
    values, indices = shares.float().topk(min(BEST, len(classes)))
    named = zip(indices.tolist(), values.tolist(), strict=True)
    return tuple((classes[index], share) for index, share in named if share > 0)


def _png(image_CHW: Tensor) -> bytes:
    """The file of an image, grey or RGB, uint8."""
    written = io.BytesIO()
    Image.fromarray(image_CHW.permute(1, 2, 0).squeeze(2).numpy()).save(written, "PNG")
    return written.getvalue()
