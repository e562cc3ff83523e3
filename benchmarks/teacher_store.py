"""What a teacher store costs: steps of the same student without a teacher, from a store and online, interleaved.

`plain` trains on labels and on the augmentation of D1 (Inception crop, RandAugment); `store` and `online` on views of
D1 with a teacher's answers; `mixture` on D1:1,D2:1 from stores. The student's updates are the same work in all. Ratios
are medians over rounds in one process.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.data import choose_input, detect
from ridgepoint.distill.lessons import Lessons, OnlineLessons
from ridgepoint.distill.loss import soft_loss
from ridgepoint.distill.mixture import MixtureBatches, Targets, variations
from ridgepoint.distill.store import Store
from ridgepoint.distill.teacher import Teacher
from ridgepoint.distill.views import Views
from ridgepoint.nn.build import build
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, cross_entropy, training_data
from ridgepoint.train.loop import memory_format
from ridgepoint.train.recipe import load_recipe

RECIPE = load_recipe("small_images")


class Run:
    """A student, and what it sees."""

    def __init__(self, network, batches: Batches, loss: Loss):
        torch.manual_seed(0)
        self.model = build(network).to(memory_format=memory_format(network)).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.batches, self.loss, self.format = batches, loss, memory_format(network)
        self.batch_ms: list[float] = []
        self.step_ms: list[float] = []

    def step(self, number: int) -> None:
        started = time.perf_counter()
        batch = self.batches.batch(number, 0.5)
        made = time.perf_counter()
        batch = replace(batch, images=batch.images.to(memory_format=self.format))
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model, batch).backward()
        self.optimizer.step()
        self.batch_ms.append(1e3 * (made - started))
        self.step_ms.append(1e3 * (time.perf_counter() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--student", default="mobilenetv3_small_050")
    parser.add_argument("--teacher", default="mobilenetv4_conv_small")
    parser.add_argument("--size", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    dataset = detect(given.data)
    preprocessing, _ = choose_input(dataset, size=given.size)
    data = training_data(dataset, preprocessing)
    classes, made = len(dataset.classes), variations(data.augmentation, preprocessing)

    def at_input(name: str):
        return load(name).at(channels=preprocessing.channels, height=preprocessing.height).with_classes(classes)

    forward = build(at_input(given.teacher)).eval()
    teacher = Teacher(name="fresh", digest="", classes=None, preprocessing=preprocessing, forward=forward)

    def asked(name: str) -> OnlineLessons:
        views = Views(data.train, made[name], preprocessing, num_classes=classes, seed=0)
        return OnlineLessons(views=views, teacher=teacher)

    def distilled(lessons: dict[str, Lessons]) -> Run:
        batches = MixtureBatches(
            lessons,
            dict.fromkeys(lessons, 1.0),
            preprocessing=preprocessing,
            targets=Targets(),
            replicas=1,
            batch_size=RECIPE.batch_size,
            seed=0,
        )
        return Run(at_input(given.student), batches, soft_loss())

    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Lessons] = {}
        for name in ("D1", "D2"):
            stores[name] = store = Store(Path(folder) / name, asked(name), data="", replicas=1)
            store.write()
        recipe = msgspec.structs.replace(RECIPE, augmentation=made["D1"].augmentation)
        plain = AugmentedBatches(data, recipe, num_classes=classes, seed=0)
        runs = {
            "plain": Run(at_input(given.student), plain, cross_entropy(0.1)),
            "store": distilled({"D1": stores["D1"]}),
            "mixture": distilled(stores),
            "online": distilled({"D1": asked("D1")}),
        }
        rng = random.Random(0)
        for number in range(given.rounds + 2):
            for run in rng.sample(list(runs.values()), len(runs)):  # whoever comes after another finds its caches
                run.step(number)
    told = {}
    for name, run in runs.items():
        steps, batches = run.step_ms[2:], run.batch_ms[2:]
        ratios = sorted(mine / other for mine, other in zip(steps, runs["plain"].step_ms[2:], strict=True))
        told[name] = {
            "step_ms": round(statistics.median(steps), 2),
            "batch_ms": round(statistics.median(batches), 2),
            "epoch_s": round(statistics.median(steps) * (len(data.train) // RECIPE.batch_size) / 1e3, 2),
            "step_over_plain": round(statistics.median(ratios), 3),
            "quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[3 * len(ratios) // 4], 3)],
        }
    case = {**vars(given), "size": preprocessing.height, "images": len(data.train), "batch": RECIPE.batch_size}
    print(json.dumps({"case": case, **told}, indent=2))


main()
