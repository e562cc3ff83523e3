"""Training steps per second of our loop and of timm's training script, side by side: one folder, network and batch.

Both train the same architecture with SGD, label smoothing and an average of the weights, on the same augmentation:
random resized crop, mirroring, colour jitter. Ours is `train` as the command runs it, on images that were decoded
once; timm's side is what its train.py does at every step, made of timm's public parts (create_dataset, create_loader
with its prefetcher, create_optimizer_v2, ModelEmaV3), in channels-last, which is faster here. A setting is
THREADS:WORKERS, for both.

    python benchmarks/training.py ../shared/data/cls_clothing10 --size 224 --settings 1:1 2:2
"""

import argparse
import contextlib
import cProfile
import itertools
import json
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pace
import timm
import torch
from timm.data import create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, ModelEmaV3

from ridgepoint.arch.zoo import load
from ridgepoint.data import ArraySplit, Augmentation, Preprocessing, choose_input, decode, detect
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.optimizer import SGD
from ridgepoint.train.recipe import Ema, Recipe

AUGMENTATION = Augmentation(crop_scale=(0.35, 1.0), crop_ratio=(0.75, 4 / 3), horizontal_flip=0.5, color_jitter=0.2)
LR, DECAY, SMOOTHING, EMA = 0.05, 1e-5, 0.1, 0.999
EPOCHS = 30  # over which decoding is divided
PROFILED = 8  # steps


class Enough(Exception):
    """The profile has seen its steps."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What both train."""

    folder: Path
    model: str
    batch: int
    classes: int
    preprocessing: Preprocessing
    train: ArraySplit
    val: ArraySplit


def ours(case: Case, threads: int, workers: int, rank: int, step_done: Callable[..., None]) -> None:
    """The command's loop."""
    torch.set_num_threads(threads)
    recipe = Recipe(
        name="benchmark",
        batch_size=case.batch,
        optimizer=SGD(lr=LR),
        weight_decay=DECAY,
        clip=None,
        ema=Ema(decay=EMA),
        label_smoothing=SMOOTHING,
        dropout=0.0,
    )
    data = TrainingData(train=case.train, val=case.val, preprocessing=case.preprocessing, augmentation=AUGMENTATION)
    network = load(case.model).at(channels=3, height=case.preprocessing.height).with_classes(case.classes)
    train(network, data, recipe, bound=Bound(epochs=10**6), seed=0, workers=workers, on_step=step_done)


def theirs(case: Case, threads: int, workers: int, rank: int, step_done: Callable[..., None]) -> None:
    """What timm's script does at every step on a CPU."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    side = case.preprocessing.height
    model = timm.create_model(case.model, num_classes=case.classes).to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(model, opt="momentum", lr=LR, weight_decay=DECAY, momentum=0.9)
    average = ModelEmaV3(model, decay=EMA, use_warmup=True)
    loss_fn = LabelSmoothingCrossEntropy(SMOOTHING)
    loader = create_loader(
        create_dataset("", root=str(case.folder), split="train", is_training=True, batch_size=case.batch),
        input_size=(3, side, side),
        batch_size=case.batch,
        is_training=True,
        scale=AUGMENTATION.crop_scale,
        ratio=AUGMENTATION.crop_ratio,
        hflip=AUGMENTATION.horizontal_flip,
        color_jitter=AUGMENTATION.color_jitter,
        interpolation="bilinear",
        mean=case.preprocessing.mean,
        std=case.preprocessing.std,
        num_workers=workers,
        device=torch.device("cpu"),
    )
    losses, updates = AverageMeter(), 0
    model.train()
    for _ in itertools.count():
        for images, targets in loader:
            images = images.contiguous(memory_format=torch.channels_last)
            loss = loss_fn(model(images), targets)
            losses.update(loss.item(), images.size(0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
            average.update(model, step=updates)
            step_done()


def profile(side: Callable[..., None], case: Case) -> dict[str, float]:
    """Milliseconds of a step in the functions that take the most of it, on one thread without workers."""
    seen = itertools.count(1)
    recorded = cProfile.Profile()

    def step_done(*_: object) -> None:
        number = next(seen)
        if number == 2:
            recorded.enable()
        elif number == 2 + PROFILED:
            recorded.disable()
            raise Enough

    with contextlib.suppress(Enough):
        side(case, 1, 0, 0, step_done)
    times: dict[str, float] = {}
    for (file, _, function), (_, _, own_s, _, _) in pstats.Stats(recorded).stats.items():
        name = function if file.startswith("~") else f"{Path(file).stem}.{function}"
        times[name] = times.get(name, 0.0) + own_s
    most = sorted(times.items(), key=lambda item: -item[1])[:12]
    return {name: round(1e3 * own_s / PROFILED, 1) for name, own_s in most}


def compared(seconds: dict[str, list[float]], case: Case, decode_s: float) -> dict[str, object]:
    """Images per second of both, and how many times ours is as fast."""
    mine, other = seconds["ridgepoint"], seconds["timm"]
    ratios = sorted(theirs / ours for ours, theirs in zip(mine, other, strict=True))
    steps = len(case.train) // case.batch
    epoch_s, other_epoch_s = (steps * statistics.median(each) for each in (mine, other))
    return {
        "images_per_s": {name: round(case.batch / statistics.median(each), 1) for name, each in seconds.items()},
        "ratio": round(statistics.median(other) / statistics.median(mine), 3),
        "ratio_by_round": [round(ratio, 3) for ratio in ratios],
        "ratio_with_decoding_in_1_epoch": round(other_epoch_s / (epoch_s + decode_s), 3),
        f"ratio_with_decoding_in_{EPOCHS}_epochs": round(EPOCHS * other_epoch_s / (EPOCHS * epoch_s + decode_s), 3),
    }


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mobilenetv3_small_050")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--settings", nargs="+", default=["1:1", "2:2"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    dataset = detect(given.data)
    preprocessing, _ = choose_input(dataset, size=given.size)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        took = []
        for _ in ("decoded", "found in the cache"):
            started = time.perf_counter()
            images = decode(dataset.train, preprocessing, train=True, keep=True)
            took.append(time.perf_counter() - started)
        case = Case(
            folder=given.data,
            model=given.model,
            batch=given.batch,
            classes=len(dataset.classes),
            preprocessing=preprocessing,
            train=images,
            val=decode(dataset.val, preprocessing, train=False),
        )
        found = {}
        for setting in given.settings:
            threads, workers = map(int, setting.split(":"))
            sides = {"ridgepoint": ours, "timm": theirs}
            runners = {name: pace.start(partial(side, case, threads, workers)) for name, side in sides.items()}
            seconds = pace.interleaved(runners, rounds=given.rounds, steps=given.steps)
            found[f"{threads} threads, {workers} workers"] = compared(seconds, case, took[0])
        report = {
            "what": "training throughput of our loop and of timm's training script",
            "model": given.model,
            "size": given.size,
            "batch": given.batch,
            "images": len(case.train),
            "rounds": given.rounds,
            "steps_per_round": given.steps,
            "versions": {"torch": torch.__version__, "timm": timm.__version__},
            "decode_s": round(took[0], 2),
            "decode_s_from_cache": round(took[1], 2),
            "settings": found,
            "profile_ms_per_step": {"ridgepoint": profile(ours, case), "timm": profile(theirs, case)},
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
