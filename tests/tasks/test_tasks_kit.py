"""The kit of tasks: classification and a stranger's task pass it, and each fault is found by its law."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from brightness_task import TASK, Brightness
from PIL import Image

from ridgepoint.data import Preprocessing
from ridgepoint.tasks.classification import CLASSIFICATION, Classification
from ridgepoint.tasks.task import Agreement
from ridgepoint.testing.tasks import CHECKS, Example, check
from ridgepoint.train.score import Score

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of a dozen images."""
    root, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for number, name in enumerate(("dark", "light")):
        (root / name).mkdir()
        for index in range(12):
            pixels = np.clip(rng.normal(60 + 120 * number, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.mark.parametrize("law", CHECKS)
def test_classification_passes(law: str, classes: Path, tmp_path: Path):
    CHECKS[law](Example(CLASSIFICATION, classes), tmp_path)


@pytest.mark.parametrize("law", CHECKS)
def test_a_task_of_another_package_passes(law: str, photos: Path, tmp_path: Path):
    CHECKS[law](Example(TASK, photos), tmp_path)


class InPercent(Classification):
    def score(self, outputs: Any, truth: Any) -> Score:
        score = super().score(outputs, truth)
        return msgspec.structs.replace(score, value=2 + 100 * score.value)


class FirstCountsMore(Brightness):
    def score(self, outputs: Any, truth: Any) -> Score:
        score = super().score(outputs, truth)
        return msgspec.structs.replace(score, value=score.value * float(np.asarray(truth)[0]))


class AgreesAlways(Brightness):
    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        return Agreement(name="always", share=1.0)


class SaysOneOnly(Brightness):
    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Any]:
        return super().decode(outputs[:1], labels, top=top)


class TakesAnySize(Brightness):
    def input(self, data: Any, size: int | None) -> tuple[Preprocessing, str]:
        return super().input(data, size if size is None or size < 1000 else 1000)


class LearnsNothing(Brightness):
    def loss(self, recipe: Any) -> Any:
        return lambda model, batch: (model(batch.images) * 0).sum()


class Unregistered(Brightness):
    name = "brightness"


FAULTS = [
    (InPercent, "scores_answers", "^[0-9.]+ of [0-9]+$"),
    (FirstCountsMore, "scores_answers", "the order of the images decides"),
    (AgreesAlways, "compares_two_networks", "noise agrees"),
    (SaysOneOnly, "puts_answers_into_words", None),
    (TakesAnySize, "says_how_images_go_in", "a million pixels"),
    (LearnsNothing, "teaches", "reaches no weight|leave the loss"),
    (Unregistered, "is_found_by_its_name", "register it"),
]


@pytest.mark.parametrize(("kind", "law", "told"), FAULTS)
def test_a_fault_is_found(kind, law: str, told: str | None, photos: Path, classes: Path, tmp_path: Path):
    folder = classes if issubclass(kind, Classification) else photos
    with pytest.raises(AssertionError, match=told):
        CHECKS[law](Example(kind(), folder), tmp_path)


def test_check_names_the_task_and_the_law(photos: Path):
    with pytest.raises(
        AssertionError, match="task 'brightness' breaks 'is_found_by_its_name': find_task gives another"
    ):
        check(Example(Unregistered(), photos))
