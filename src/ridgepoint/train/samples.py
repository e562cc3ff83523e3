"""A few images as a network is shown them, kept beside its training so that a person can see a wrong augmentation."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch
from PIL import Image
from torch import Tensor

from ridgepoint.files import write_atomic
from ridgepoint.run.records import read_record
from ridgepoint.train.batches import Batches
from ridgepoint.train.curriculum import WHOLE, Phase

SAMPLES = "samples.json"
STEPS, ROWS = 3, 4  # of a training; images of one step are all mixed in the same way
BEST = 3

Shares = tuple[tuple[str, float], ...]
"""What an image says, in words, with shares or probabilities, the largest first."""


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


def batch_samples(
    batches: Batches, phases: Sequence[Phase], words: Callable[[Tensor], Sequence[Shares]]
) -> list[Sample]:
    """From the first steps as they would be in each phase of a training; `words` tell what a batch's targets say."""
    found = []
    for start in sorted({phase.start for phase in (WHOLE, *phases)}):
        for step in range(STEPS):
            batch = batches.seen(step, start, slice(ROWS))
            images = batch.images.round().to("cpu", torch.uint8)
            group = f"from {start:.0%} of the training, {images.shape[-1]} px"
            found += [
                Sample(group=group, png=png(image), id=name, labels=said)
                for image, name, said in zip(images, batch.ids, words(batch.targets.cpu()), strict=True)
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


def largest(shares: Tensor, classes: Sequence[str]) -> Shares:
    """The classes with the largest shares; none without any."""
    values, indices = shares.float().topk(min(BEST, len(classes)))
    named = zip(indices.tolist(), values.tolist(), strict=True)
    return tuple((classes[index], share) for index, share in named if share > 0)


def png(image_CHW: Tensor) -> bytes:
    """The file of an image, grey or RGB, uint8."""
    written = io.BytesIO()
    Image.fromarray(image_CHW.permute(1, 2, 0).squeeze(2).numpy()).save(written, "PNG")
    return written.getvalue()
