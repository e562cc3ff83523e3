"""Losses of distillation by hand; a student learns its teacher; online and stored lessons give one training."""

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn
from train_helpers import quick, same, small_network

from ridgepoint.arch.heads.classification import TokenHead
from ridgepoint.distill.lessons import Lessons, OnlineLessons
from ridgepoint.distill.loss import soft_loss, two_head_loss
from ridgepoint.distill.mixture import MixtureBatches, Targets, variations
from ridgepoint.distill.store import Store
from ridgepoint.distill.teacher import Teacher, digest_of
from ridgepoint.distill.views import Views
from ridgepoint.nn.build import build
from ridgepoint.train.batches import Batch, TrainingData
from ridgepoint.train.loop import Bound, Trained, logits, train


class Says(nn.Module):
    """Answers with given logits."""

    def __init__(self, *logits: list[list[float]]):
        super().__init__()
        self.logits = [torch.tensor(each) for each in logits]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[0]


def test_soft_loss_by_hand():
    """Student's logits ln 4 and 0, temperature 2: odds 2 to 1; teacher 3 to 1: 4 (-3/4 ln 2/3 - 1/4 ln 1/3)."""
    batch = Batch(images=torch.zeros(1), targets=torch.tensor([[0.75, 0.25]]), ids=("a",))
    expected = 4 * -(0.75 * math.log(2 / 3) + 0.25 * math.log(1 / 3))
    assert soft_loss(2.0)(Says([[math.log(4), 0.0]]), batch).item() == pytest.approx(expected)


def two_heads() -> nn.Module:
    torch.manual_seed(0)
    return build(msgspec.structs.replace(small_network(), head=TokenHead()))


def test_two_head_loss_is_half_the_labels_and_half_the_teachers():
    model = two_heads().train()
    images = torch.randn(6, 1, 16, 16)
    labels, named = torch.randint(10, (6,)), torch.randint(10, (6,))
    targets = torch.stack([nn.functional.one_hot(each, 10).float() for each in (labels, named)], dim=1)
    batch = Batch(images=images, targets=targets, ids=("x",) * 6)
    loss = two_head_loss(0.1)(model, batch)
    features: list[torch.Tensor] = []
    heads = {name: getattr(model.head.classifier, name) for name in ("label", "teacher")}
    hook = heads["label"].register_forward_hook(lambda module, given, result: features.append(given[0]))
    answer = model(images)
    hook.remove()
    of_label = nn.functional.cross_entropy(heads["label"](features[0]), labels, label_smoothing=0.1)
    of_teacher = nn.functional.cross_entropy(heads["teacher"](features[0]), named)
    torch.testing.assert_close(loss, 0.5 * of_label + 0.5 * of_teacher)
    assert answer.shape == (6, 10), "afterwards it answers with the mean again"
    loss.backward()
    assert all(head.weight.grad is not None for head in heads.values())


@pytest.fixture(scope="module")
def taught(data: TrainingData) -> Trained:
    """A teacher that knows the digits."""
    return train(small_network(32), data, quick(), bound=Bound(epochs=6), seed=0, evaluations=1)


@pytest.fixture(scope="module")
def teacher(taught: Trained, data: TrainingData) -> Teacher:
    return Teacher(
        name="taught",
        digest=digest_of(taught.model.state_dict(), data.preprocessing),
        classes=None,
        preprocessing=data.preprocessing,
        forward=taught.model,
    )


def lessons_of(data: TrainingData, teacher: Teacher, folder: Path | None, *names: str) -> dict[str, Lessons]:
    """Online or from stores."""
    lessons: dict[str, Lessons] = {}
    for name in names:
        variation = variations(data.augmentation, data.preprocessing)[name]
        views = Views(data.train, variation, data.preprocessing, num_classes=10, seed=5)
        asked = OnlineLessons(views=views, teacher=teacher, topk=4)
        lessons[name] = asked
        if folder is not None:
            lessons[name] = store = Store(folder / name, asked, data="digits", replicas=2)
            store.write()
    return lessons


def student(data: TrainingData, lessons: dict[str, Lessons], *, epochs: int = 1, hard: bool = False, **options):
    batches = MixtureBatches(
        lessons,
        dict.fromkeys(lessons, 1.0),
        preprocessing=data.preprocessing,
        targets=Targets(hard=hard),
        replicas=2,
        batch_size=64,
        seed=1,
    )
    network = small_network()
    network = msgspec.structs.replace(network, head=TokenHead()) if hard else network
    loss = two_head_loss(0.0) if hard else soft_loss()
    return train(
        network, data, quick(), bound=Bound(epochs=epochs), seed=1, batches=batches, loss=loss, evaluations=1, **options
    )


def test_a_store_gives_the_training_that_the_online_teacher_gives(data: TrainingData, teacher: Teacher, tmp_path: Path):
    """Equal losses at every step and equal weights, bit for bit."""
    curves: list[list[float]] = []
    trained = []
    for folder in (None, tmp_path):
        curve: list[float] = []
        lessons = lessons_of(data, teacher, folder, "D1", "D2")
        trained.append(student(data, lessons, on_step=lambda share, row, curve=curve: curve.append(row["loss"])))
        curves.append(curve)
    assert curves[0] == curves[1] and len(curves[0]) == len(data.train) // 64
    assert same(*trained)


def test_a_student_learns_from_the_teacher_alone(data: TrainingData, teacher: Teacher, tmp_path: Path):
    """With labels that are all the same nothing can be learnt but from the teacher."""
    unlabelled = replace(data, train=replace(data.train, labels=torch.zeros_like(data.train.labels)))
    done = student(unlabelled, lessons_of(unlabelled, teacher, tmp_path, "D2"), epochs=5)
    assert done.val_accuracy > 0.35
    assert logits(done.model, data.val.images, data.preprocessing).shape == (len(data.val), 10)


def test_hard_lessons_teach_both_heads(data: TrainingData, teacher: Teacher, tmp_path: Path):
    done = student(data, lessons_of(data, teacher, tmp_path, "D2"), epochs=5, hard=True)
    assert done.val_accuracy > 0.35
