"""A few images of every set of a distillation, as the student sees them, with the teacher's answers."""

from collections.abc import Mapping, Sequence

import numpy as np

from ridgepoint.distill.answers import probabilities
from ridgepoint.distill.lessons import Lessons
from ridgepoint.train.samples import ROWS, STEPS, Sample, largest, png

TITLES = {
    "D1": "D1: crop and RandAugment",
    "D2": "D2: crop and mixup",
    "D3": "D3: extra images, crop and RandAugment",
}


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
                png=png(image),
                id=image_id,
                labels=largest(label, classes),
                teacher=largest(answer, classes),
            )
            for image, image_id, label, answer in zip(
                lesson.images, given.views.ids(rows), labels, answers, strict=True
            )
        ]
    return found
