"""Where validation has few images: every training image is answered once, by networks that have not seen it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.data import ArraySplit, Augmentation, Preprocessing
from ridgepoint.display import Silent
from ridgepoint.fit import folds
from ridgepoint.fit.folds import Folded, fold
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import save_weights
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.recipe import load_recipe

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, resize=36, mean=(0.5,) * 3, std=(0.5,) * 3)


class Steps(dict):
    """The steps of a run, in memory."""

    settings = SimpleNamespace(seed=0)

    def read_step(self, name, kind):
        return self.get(name)

    def write_step(self, name, content):
        self[name] = Folded(**content)

    def tick(self):
        pass


def split(count: int, side: int) -> ArraySplit:
    generator = torch.Generator().manual_seed(side)
    labels = torch.arange(count) % 3
    pixels = torch.randint(0, 120, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    pixels[torch.arange(count), labels] += 100
    return ArraySplit(pixels, labels, tuple(map(str, range(count))))


def test_every_training_image_answers_once_and_is_not_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    network = load("mobilenetv3_small_050").at(height=32).with_classes(3)
    save_weights(build(network), tmp_path / "w.safetensors")
    opening = SimpleNamespace(network=network, weights=SimpleNamespace(path=str(tmp_path / "w.safetensors")))
    data = TrainingData(train=split(24, 36), val=split(3, 32), preprocessing=PREPROCESSING, augmentation=Augmentation())
    parts: list[TrainingData] = []
    judged = folds._judged
    monkeypatch.setattr(folds, "_judged", lambda *given: parts.append(given[3]) or judged(*given))
    prepared = SimpleNamespace(task=CLASSIFICATION, accelerator=CPU)
    run, recipe = Steps(), load_recipe("finetune", {"batch_size": 8})
    found = fold(run, prepared, opening, data, recipe, epochs=1, display=Silent())
    assert found.count == 24 and 0 <= found.finetuned <= 24 and 8 < found.frozen <= 24, "colours are told"
    asked = [name for part in parts for name in part.val.ids]
    assert sorted(asked, key=int) == list(data.train.ids) and not any(set(p.train.ids) & set(p.val.ids) for p in parts)
    assert {part.val.images.shape[2:] for part in parts} == {(32, 32)}
    assert fold(run, prepared, opening, data, recipe, epochs=1, display=Silent()) == found and len(parts) == 3


def test_fine_tuning_that_loses_images_is_not_worth_it():
    found = Folded(count=60, frozen=45, finetuned=44)
    assert not found.worth_it
    assert Folded(count=60, frozen=45, finetuned=45).worth_it
    assert "60 training images" in found.told and "44 are right fine-tuned, 45" in found.told
