"""Distillation by dynamic data set mixture: which set each sample of a step comes from is drawn at that step.

Source: MobileNetV4, arXiv:2404.10518, section 8 and Table 8.
Differs: views are redrawn from their seeds, where the paper stores JPEG files and mirrors them at random in training.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import torch
from torch import Tensor

from ridgepoint.data import Augmentation, Preprocessing, RandAugment
from ridgepoint.data.draws import sample_seeds, uniform
from ridgepoint.distill.answers import probabilities
from ridgepoint.distill.lessons import Lesson, Lessons
from ridgepoint.distill.views import Variation
from ridgepoint.errors import InputError, nearest
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import one_thread
from ridgepoint.train.batches import ALL, Batch, Batches
from ridgepoint.train.recipe import SMALL_IMAGE

SETS = ("D1", "D2", "D3")


def parse_mixture(text: str) -> dict[str, float]:
    """Weights by set from a text such as ``D1:1,D2:1``.

    Raises:
        InputError: If a set is unknown or repeated, or a weight is no positive number.
    """
    mixture: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = (piece.strip() for piece in part.partition(":"))
        if name not in SETS:
            raise InputError(f"--mixture {text}: unknown set '{name}'; {nearest(name, SETS)}, for example D1:1,D2:1")
        try:
            mixture[name], repeated = float(weight or 1), name in mixture
        except ValueError:
            repeated = True
        if repeated or not 0 < mixture.get(name, 0) < float("inf"):
            raise InputError(f"--mixture {text}: cannot read '{part}'. Allowed: each set once, with a weight above 0")
    return mixture


def variations(default: Augmentation, preprocessing: Preprocessing) -> dict[str, Variation]:
    """How the views of each set are made.

    D1 is an Inception crop and RandAugment of 2 operations at magnitude 9, D2 an Inception crop and mixup with any
    share, D3 (extra images) an Inception crop and RandAugment of 2 operations at magnitude 5. Mirroring follows the
    data.

    Differs: images up to 64 px keep the data's own crop; a twelfth of a character is no character.

    Args:
        default: The augmentation that suits the data.
        preprocessing: The student's.
    """
    crop = msgspec.structs.replace(default, color_jitter=0.0)
    if max(preprocessing.height, preprocessing.width) > SMALL_IMAGE:
        crop = Augmentation(crop_scale=(0.08, 1.0), crop_ratio=(0.75, 4 / 3), horizontal_flip=default.horizontal_flip)

    def varied(magnitude: int) -> Variation:
        return Variation(augmentation=msgspec.structs.replace(crop, policy=RandAugment(magnitude=magnitude)))

    return {"D1": varied(9), "D2": Variation(augmentation=crop, mixup=True), "D3": varied(5)}


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is made of a teacher's answers.

    Attributes:
        temperature: Of the softmax over the teacher's logits.
        hard: Whether the teacher only names its best class, beside what the image is labelled.
    """

    temperature: float = 1.0
    hard: bool = False

    def __call__(self, lesson: Lesson, labels: Tensor) -> Tensor:
        """Probabilities, (B, classes); if hard, of the labels and of the teacher's class, (B, 2, classes)."""
        soft = probabilities(lesson.answers, labels.shape[1], temperature=self.temperature)
        if not self.hard:
            return soft
        named = torch.nn.functional.one_hot(soft.argmax(1), labels.shape[1]).float()
        return torch.stack([labels, named], dim=1)


class MixtureBatches(Batches):
    """Batches whose samples come from several sets.

    Sets of the same images go through them in the same order, once in an epoch; the next epoch shows the next replica.

    Args:
        lessons: By set; an epoch is the first one's.
        weights: By set, how often it is drawn.
        preprocessing: The student's.
        targets: What the answers become.
        replicas: Views of each image that are there.
        batch_size: Samples in a step.
        seed: Of order and mixture.
    """

    def __init__(
        self,
        lessons: Mapping[str, Lessons],
        weights: Mapping[str, float],
        *,
        preprocessing: Preprocessing,
        targets: Targets,
        replicas: int,
        batch_size: int,
        seed: int,
    ):
        self._lessons, self.preprocessing, self._targets = list(lessons.values()), preprocessing, targets
        shares = np.array([weights[name] for name in lessons])
        self._bounds = np.cumsum(shares / shares.sum())[:-1]
        self._replicas, self._seed = replicas, seed
        self._count = len(self._lessons[0].views)
        self.batch_size = min(batch_size, self._count)
        self._order = lru_cache(maxsize=8)(self._shuffled)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self._count // self.batch_size

    @one_thread()
    def seen(self, step: int, progress: float, rows: slice = ALL) -> Batch:
        """The views of a step and what the teacher says to them."""
        set_B = self.sets(step)[rows]
        place_B = step * self.batch_size + np.arange(self.batch_size)[rows]
        found = []
        for number in np.unique(set_B).tolist():
            here = np.flatnonzero(set_B == number)
            found.append((torch.from_numpy(here), *self._part(self._lessons[number], place_B[here])))
        places, images, targets, ids = zip(*found, strict=True)
        named = dict(zip(torch.cat(places).tolist(), itertools.chain(*ids), strict=True))
        return Batch(
            images=_placed(places, images),
            targets=_placed(places, targets),
            ids=tuple(named[place] for place in range(len(set_B))),
        )

    def sets(self, step: int) -> np.ndarray:
        """Which set each sample of a step comes from, int64 (B,)."""
        draws = uniform(sample_seeds(seed_for(self._seed, "mixture", step), self.batch_size), 1)[0]
        return np.searchsorted(self._bounds, draws.numpy(), side="right")

    def _part(self, lessons: Lessons, place_B: np.ndarray) -> tuple[Tensor, Tensor, Sequence[str]]:
        """Images, targets and names of the samples at some places of the whole training."""
        views = lessons.views
        epoch_B, index_B = np.divmod(place_B, len(views))
        rows_B = np.empty_like(index_B)
        for epoch in np.unique(epoch_B).tolist():
            here = epoch_B == epoch
            rows_B[here] = self._order(len(views), epoch)[index_B[here]]
        lesson = lessons.lesson(rows_B, epoch_B % self._replicas)
        return lesson.images, self._targets(lesson, views.labels(rows_B, lesson.seeds)), views.ids(rows_B)

    def _shuffled(self, count: int, epoch: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed_for(self._seed, "order", count, epoch))
        return torch.randperm(count, generator=generator).numpy()


def _placed(places: Sequence[Tensor], parts: Sequence[Tensor]) -> Tensor:
    """Parts of a batch put together, each sample at its place."""
    if len(parts) == 1:  # then all are at their places
        return parts[0]
    whole = parts[0].new_empty(sum(map(len, parts)), *parts[0].shape[1:])
    for place_B, part in zip(places, parts, strict=True):
        whole[place_B] = part
    return whole
