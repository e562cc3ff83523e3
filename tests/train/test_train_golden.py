"""The first 20 losses of every family of recipes, as they were; `python tests/train/test_train_golden.py` renews them.

A whole training of 20 steps: schedules, curricula and averages run from start to end.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_helpers import digits, small_network

from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import load_recipe

GOLDEN = Path(__file__).with_name("golden.json")
FAMILIES = {  # with learning rates at which a small network gets somewhere in 20 steps of 32 images
    "small_images": {"optimizer.lr": 0.02},
    "small_data": {"optimizer.lr": 0.02},
    "finetune": {"optimizer.lr": 0.02},
    "mobilenetv3": {"optimizer.lr": 0.01},
    "mobilenetv4_conv_small": {"optimizer.lr": 0.02},
    "mobilenetv4_conv_large": {"optimizer.lr": 0.02},
    "mobileone_s2": {"optimizer.lr": 0.1},
    "efficientformer": {"optimizer.lr": 0.005, "clip.factor": 0.1},
}


def curve(name: str, data: TrainingData) -> list[float]:
    recipe = load_recipe(name, {"batch_size": 32, "lr_scaling": None, "precision": "float32", **FAMILIES[name]})
    few = replace(data.train, images=data.train.images[:320], labels=data.train.labels[:320], ids=data.train.ids[:320])
    losses: list[float] = []
    train(
        small_network(), replace(data, train=few), recipe, bound=Bound(epochs=2), seed=0, evaluations=1,
        on_step=lambda progress, row: losses.append(row["loss"]),
    )  # fmt: skip
    return losses


@pytest.mark.parametrize("name", FAMILIES)
def test_the_curve_is_as_it_was(name: str, data: TrainingData):
    """Another processor rounds otherwise, which 20 steps do not blow up to more than 0.001; a recipe's change does."""
    expected = json.loads(GOLDEN.read_text())[name]
    assert curve(name, data) == pytest.approx(expected, abs=0.001)
    assert len(expected) == 20


if __name__ == "__main__":
    torch.set_num_threads(1)
    curves = {name: [round(loss, 4) for loss in curve(name, digits())] for name in FAMILIES}
    GOLDEN.write_text("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in curves.items()) + "\n}\n")
