"""Painted images, views of them, and a teacher of fresh weights."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ridgepoint.data import ArraySplit, Augmentation, Preprocessing
from ridgepoint.distill import store
from ridgepoint.distill.lessons import OnlineLessons
from ridgepoint.distill.mixture import variations
from ridgepoint.distill.teacher import Teacher, digest_of
from ridgepoint.distill.views import Views

CLASSES = 5


def preprocessing(size: int = 32, channels: int = 3) -> Preprocessing:
    return Preprocessing(
        height=size, width=size, channels=channels, resize=size + 4, mean=(0.5,) * channels, std=(0.25,) * channels
    )


def painted(count: int, size: int = 36, channels: int = 3) -> ArraySplit:
    """Smooth coloured blots, each image another."""
    generator = torch.Generator().manual_seed(1)
    rough = torch.rand(count, channels, 5, 5, generator=generator)
    images = nn.functional.interpolate(rough, (size, size), mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)
    return ArraySplit(images, torch.arange(count) % CLASSES, tuple(f"painted/{index}" for index in range(count)))


def views(name: str = "D1", count: int = 40, size: int = 32, *, seed: int = 0, channels: int = 3) -> Views:
    student = preprocessing(size, channels)
    default = Augmentation(crop_scale=(0.4, 1.0), crop_ratio=(0.75, 4 / 3), horizontal_flip=0.5, color_jitter=0.2)
    return Views(
        painted(count, size + 4, channels),
        variations(default, student)[name],
        student,
        num_classes=CLASSES,
        seed=seed,
    )


def teacher(seed: int = 0, size: int = 24) -> Teacher:
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, CLASSES)
    )
    nn.init.normal_(module[-1].weight, std=3.0)
    own = preprocessing(size)
    return Teacher(
        name="painter",
        digest=digest_of(module.state_dict(), own),
        classes=None,
        preprocessing=own,
        forward=module.eval(),
    )


def lessons(name: str = "D1", *, topk: int | None = None, count: int = 40) -> OnlineLessons:
    return OnlineLessons(views=views(name, count), teacher=teacher(), topk=topk)


def kept(folder: Path, given: OnlineLessons, *, replicas: int = 2, data: str = "painted") -> store.Store:
    return store.Store(folder, given, data=data, replicas=replicas)


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers)
