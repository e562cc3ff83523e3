"""`distill` as a run: as `train`, but the student learns what a teacher says to its own views."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ridgepoint.arch.heads.classification import TokenHead
from ridgepoint.data import Dataset, Split, decode, detect
from ridgepoint.display import Display
from ridgepoint.distill.lessons import Lessons, OnlineLessons
from ridgepoint.distill.loss import soft_loss, two_head_loss
from ridgepoint.distill.mixture import MixtureBatches, Targets, parse_mixture, variations
from ridgepoint.distill.samples import TITLES, lesson_samples
from ridgepoint.distill.settings import DistillSettings
from ridgepoint.distill.store import Store
from ridgepoint.distill.teacher import Teacher
from ridgepoint.distill.teachers import open_teacher
from ridgepoint.distill.views import Views, balanced_rows
from ridgepoint.errors import DataError, InputError, RunError, shown
from ridgepoint.seeds import seed_for
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.reading import read
from ridgepoint.train.run import Course, Plan, Teaching, run_training

REPLICAS = 10
STORE = "teacher"


def run_distillation(
    settings: DistillSettings,
    *,
    out: Path | None,
    resume: bool,
    display: Display,
    asked: Collection[str] | None = None,
) -> dict[str, Any]:
    """Ask the teacher once, train the student, test it; the content of `result.json`.

    Raises:
        InputError: If the request, the data or the teacher are wrong.
        RunError: If the folder or the store belong to something else.
        InterruptedRun: If the user stopped it; it can be resumed.
    """
    return run_training(settings, read=read, out=out, resume=resume, display=display, asked=asked, plan=_plan)


def _plan(course: Course[DistillSettings]) -> Plan:
    """Refuse what cannot be; then say how lessons begin."""
    settings, recipe = course.settings, course.recipe
    if course.objective.name != CLASSIFICATION.name:
        raise InputError(
            f"distill teaches classes, and {settings.data} is for {course.objective.name}. Give class folders, or "
            f"train without a teacher: ridgepoint train {settings.model} {settings.data}"
        )
    weights = parse_mixture(settings.mixture)
    if ("D3" in weights) != (settings.extra is not None):
        raise InputError("D3 and --extra belong together: D3 is drawn from the images in the folder that --extra names")
    if settings.online and settings.workers:
        raise InputError("--online asks the teacher in the training's own process: leave out --workers, or --online")
    head = course.network.head
    if settings.hard and not (isinstance(head, TokenHead) and head.distilled):
        raise InputError(
            f"--hard teaches a second head, and {course.network.name} has one. Take an efficientformer, or leave it out"
        )
    if settings.store is not None:
        _expect_stores(Path(settings.store))
    teacher = open_teacher(settings.teacher, course.dataset.classes, course.accelerator)
    replicas = settings.replicas or min(REPLICAS, recipe.epochs)
    stores = {name: _store(name, course, teacher, replicas) for name in weights}

    def begin(display: Display) -> Teaching:
        if not settings.online:
            for name, store in stores.items():
                with display.phase(f"Asking the teacher: {name}, {len(store.views):,} images, {replicas} views each"):
                    store.write(lambda share: display.progress(share, "answers stored"))
        lessons: dict[str, Lessons] = {
            name: store.asked if settings.online else store for name, store in stores.items()
        }
        batches = MixtureBatches(
            lessons,
            weights,
            preprocessing=course.data.preprocessing,
            targets=Targets(temperature=settings.temperature, hard=settings.hard),
            replicas=replicas,
            batch_size=recipe.batch_size,
            seed=settings.seed,
        )
        loss = two_head_loss(recipe.label_smoothing) if settings.hard else soft_loss(settings.temperature)
        return Teaching(
            batches=batches,
            loss=loss,
            samples=lesson_samples(lessons, course.dataset.classes, settings.temperature),
            result=_told(settings, teacher, weights, replicas),
        )

    origin = {"teacher": teacher.digest}
    if settings.extra is not None:
        origin["extra"] = _extra(settings.extra, course.dataset).fingerprint
    return Plan(begin=begin, origin=origin)


def _store(name: str, course: Course[DistillSettings], teacher: Teacher, replicas: int) -> Store:
    """The lessons of a set. Its views do not depend on the run's seed, so that students may share a store."""
    settings, data, seed = course.settings, course.data, seed_for(0, name)
    of, images, rows = course.dataset, data.train, None
    if settings.extra is not None and name == "D3":
        of = _extra(settings.extra, course.dataset)
        images = decode(_whole(of), data.preprocessing, train=True, keep=True)
        rows = balanced_rows(images.labels, seed)
    views = Views(
        images,
        variations(data.augmentation, data.preprocessing)[name],
        data.preprocessing,
        num_classes=len(course.dataset.classes),
        seed=seed,
        rows=rows,
    )
    folder = Path(settings.store) if settings.store else course.folder / STORE
    asked = OnlineLessons(views=views, teacher=teacher, topk=settings.topk)
    return Store(folder / name, asked, data=of.fingerprint, replicas=replicas)


def _expect_stores(folder: Path) -> None:
    """Refuse to put stores among what is not ours.

    Raises:
        RunError: Naming what is there.
    """
    others = [each.name for each in folder.glob("[!.]*") if each.name not in TITLES or not each.is_dir()]
    if others or (folder.exists() and not folder.is_dir()):
        held = f"holds {shown(sorted(others)[0])}" if others else "is a file"
        raise RunError(f"--store {folder}: {held}, so it is no folder of teacher stores. Give one of its own")


def _extra(folder: str, dataset: Dataset) -> Dataset:
    """The images of D3, whose class folders must be those of the data.

    Raises:
        DataError: If they are not.
    """
    extra = detect(folder)
    if extra.classes != dataset.classes:
        raise DataError(
            f"--extra {folder}: its class folders ({', '.join(extra.classes[:5])}, ...) are not the data's "
            f"({', '.join(dataset.classes[:5])}, ...). Give extra images of the same classes"
        )
    return extra


def _whole(dataset: Dataset) -> Split:
    """All images of a data set as one split."""
    parts = (dataset.train, dataset.val, dataset.test)
    ids = tuple(image_id for part in parts for image_id in part.ids)
    return Split(ids, np.concatenate([part.labels for part in parts]), dataset.train.source)


def _told(settings: DistillSettings, teacher: Teacher, weights: dict[str, float], replicas: int) -> dict[str, Any]:
    """What the result says of the distillation."""
    return {
        "teacher": {"name": teacher.name, "sha256": teacher.digest},
        "mixture": weights,
        "replicas": replicas,
        "topk": settings.topk,
        "temperature": settings.temperature,
        "hard": settings.hard,
        "online": settings.online,
    }
