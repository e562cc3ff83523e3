"""Semantic segmentation: a class for every pixel, from folders of images with masks or with outlines of objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.heads.semantic_fpn import SemanticFpn
from ridgepoint.data import (
    ArraySplit,
    Augmentation,
    Dataset,
    Preprocessing,
    Split,
    choose_squashed,
    default_augmentation,
)
from ridgepoint.data.augment import Geometry
from ridgepoint.data.dataset import assemble
from ridgepoint.data.images import joined
from ridgepoint.data.masks.classes import IGNORED
from ridgepoint.data.masks.folders import scan_masks
from ridgepoint.data.masks.outlines import scan_outlines
from ridgepoint.data.masks.truth import MaskTruth
from ridgepoint.deploy.verify import MAX_RELATIVE_DIFF
from ridgepoint.errors import DataError
from ridgepoint.tasks.asked import folder_for
from ridgepoint.tasks.map_colours import overlay
from ridgepoint.tasks.map_loss import map_loss
from ridgepoint.tasks.miou import confusions, label_maps, mean_iou, score_maps
from ridgepoint.tasks.segmented import write_segmented
from ridgepoint.tasks.task import Agreement, Prediction
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData
from ridgepoint.train.recipe import SMALL_IMAGE, Recipe
from ridgepoint.train.samples import Shares, largest
from ridgepoint.train.score import Score

SAME_MAPS = "share of images with the same label map"


class Segmentation:
    """See `ridgepoint.tasks.task.Task`. Networks answer at a quarter or an eighth of the input's size."""

    name = "segmentation"
    metric = "mIoU"
    by_label = "IoU"
    outputs: tuple[str, ...] = ("logits",)
    part = "ridgepoint.report.parts.segmentation:PART"

    def read(self, spec: str | Path, *, seed: int, root: Path | None, download: bool = True) -> Dataset | None:
        """A folder of images and one of masks, with or without parts, or of images whose objects have outlines."""
        folder, named = folder_for(self.name, spec)
        found = None if folder is None else scan_masks(folder) or scan_outlines(folder, named=named)
        if found is None and named:
            raise _no_masks(spec)
        if found is None:
            return None
        if not {"all", "train"} & found.given.keys():
            raise DataError(
                f"'{spec}': has {' and '.join(found.given)} but no train part. Add one, with images and their masks"
            )
        return _with_classes(assemble(found, seed=seed), spec)

    def whole(self, spec: str | Path, labels: Sequence[str], *, root: Path | None) -> Split:
        """All images with masks, their classes matched by name to the labels; unnamed ones by their number."""
        folder, _ = folder_for(self.name, spec)
        found = folder and (scan_masks(folder, labels=labels) or scan_outlines(folder, named=True, labels=labels))
        if not found:
            raise _no_masks(spec)
        return joined(list(found.given.values()))

    def summary(self, data: Dataset) -> str:
        """Classes with their share of the pixels, parts, and what deserves attention."""
        truth = _truth(data.train)
        counts = np.array([truth.pixels[name] for name in data.train.ids], np.float64).sum(0)
        shares = [f"{name} {share:.1%}" for name, share in zip(data.classes, counts / counts.sum(), strict=True)]
        more = f", and {len(shares) - 12} more" if len(shares) > 12 else ""
        judged = " x ".join(map(str, truth.judged_at))
        return data.summary(
            [
                f"classes, by their share of the pixels to learn from: {', '.join(shares[:12])}{more}",
                f"mIoU is taken at {judged} px, whatever the input of a network",
            ]
        )

    def input(self, data: Dataset, size: int | None) -> tuple[Preprocessing, str]:
        """A square into which the whole image is squashed: nothing is cut off, and no pixel is spent on a border."""
        return choose_squashed(data, size=size, canvas=CANVAS)

    def augmentation(self, data: Dataset, preprocessing: Preprocessing) -> Augmentation:
        """Crops of half the image at least, mirrored where names allow, and colours varied: masks follow."""
        usual = default_augmentation(data, preprocessing)
        return Augmentation(
            crop_scale=(0.5, 1.0),
            crop_ratio=(0.8, 1.25),
            horizontal_flip=usual.horizontal_flip if len(data.classes) > 2 else 0.5,
            color_jitter=0.2,
        )

    def head(self, data: Dataset) -> Closing:
        """Lite R-ASPP at stride 4, and where a search may choose, at stride 8 and a narrow Semantic FPN; or its own.

        Seen: 180 s on one core, MobileNetV4-Conv-Small at 256 px on 273 images of nuclei: mIoU 0.866 with the first
        (one seed), 0.865 to 0.877 with the last (three), whose latency is about 1.7 times as long by a roofline of a
        Pixel 6.
        """
        small = min(data.median_size) <= SMALL_IMAGE
        return Closing(
            num_classes=len(data.classes),
            head=LiteRAspp(low=4, image_size=False),
            answers="a class map",
            others=() if small else (LiteRAspp(low=8, image_size=False), NARROW_FPN),
            keep=True,
        )

    def recipe(self, size: int, *, trained: bool) -> str:
        """For masks, whatever the size."""
        return "masks_finetune" if trained else "masks"

    def batches(
        self, data: TrainingData, recipe: Recipe, *, outputs: int, seed: int, accelerator: torch.device
    ) -> Batches:
        """Varied images; their masks move with them."""
        return AugmentedBatches(data, recipe, num_classes=outputs, seed=seed, accelerator=accelerator, follow=_follow)

    def loss(self, recipe: Recipe) -> Loss:
        """Cross-entropy and Dice."""
        return map_loss(recipe.label_smoothing)

    def score(self, outputs: Any, truth: Any) -> Score:
        """The mean IoU over classes."""
        return score_maps(outputs, truth)

    def scores(self, outputs: np.ndarray, truth: Any, choices: Sequence[np.ndarray]) -> list[float]:
        """See `ridgepoint.tasks.int8.ManyScores`."""
        each = confusions(outputs, truth)
        return [mean_iou(each[kept]) for kept in choices]

    def words(self, targets: Tensor, labels: Sequence[str]) -> list[Shares]:
        """The classes with the most pixels, with their shares."""
        return [largest(_shares(mask, len(labels)), labels) for mask in targets]

    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        """The share of images whose every position has the same class in both.

        Where the source's two best classes are nearer to each other than files may differ from their source, either may
        be the answer: such a tie is no disagreement.
        """
        best = np.sort(source, axis=1)
        tie = best[:, -1] - best[:, -2] <= 2 * MAX_RELATIVE_DIFF * np.abs(source).max() if best.shape[1] > 1 else False
        same = (source.argmax(1) == exported.argmax(1)) | tie
        return Agreement(name=SAME_MAPS, share=float(same.reshape(len(same), -1).all(1).mean()))

    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Prediction]:
        """The share of the image that each class has; all classes that are there, however many are asked for."""
        return [_decoded(answer, labels) for answer in outputs]

    def draw(self, image: Image.Image, outputs: np.ndarray, labels: Sequence[str]) -> Image.Image:
        """The image with the classes laid over it, at its own size."""
        pixels_HW3 = np.asarray(image.convert("RGB"))
        (maps,) = label_maps(outputs[:1], pixels_HW3.shape[:2])
        return overlay(pixels_HW3, maps[0].numpy(), tuple(labels))

    def tell(self, score: Score, labels: Sequence[str]) -> list[str]:
        """Pixels, images, and every class."""
        ious = [
            f"  {name:>20}  IoU {'(not there)' if iou is None else f'{iou:.3f}'}"
            for name, iou in zip(labels, score.by_label, strict=True)
        ]
        parts = score.parts
        return [
            f"Right pixels {parts['pixel_accuracy']:.4f}; mean over images {parts['per_image']:.4f}; always the most "
            f"frequent class: {parts['majority']:.4f}",
            *ious,
        ]

    def write_evaluation(self, folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
        """IoU by class, and the worst and some other images beside their masks and answers."""
        write_segmented(folder, labels, test, outputs)


NARROW_FPN = SemanticFpn(hidden_channels=64, level_channels=48, separable=True, image_size=False)

CANVAS = 1.25
"""The canvas of a training over the input: crops of it are enlarged less."""

SEGMENTATION = Segmentation()


def _follow(masks_BHW: Tensor, geometry: Geometry, size: tuple[int, int]) -> Tensor:
    return geometry.maps(masks_BHW, size)


def _with_classes(data: Dataset, spec: str | Path) -> Dataset:
    """The same data.

    Raises:
        DataError: If all that is to be learnt from is one class.
    """
    truth = _truth(data.train)
    there = np.flatnonzero(np.array([truth.pixels[name] for name in data.train.ids]).sum(0))
    if len(there) < 2:
        raise DataError(
            f"'{spec}': every pixel of the {len(data.train):,} images to learn from is "
            f"{', '.join(data.classes[index] for index in there) or 'of no class'}, so there is nothing to tell apart. "
            "Mark more on them; where parts are drawn, another --seed draws others"
        )
    return data


def _no_masks(spec: str | Path) -> DataError:
    return DataError(
        f"'{spec}': is no folder of images and their masks, nor of images whose objects have outlines. Give one, such "
        "as images/ and masks/, or COCO JSON with polygons"
    )


def _truth(split: Split) -> MaskTruth:
    assert isinstance(split.truth, MaskTruth)
    return split.truth


def _shares(mask: Tensor, count: int) -> Tensor:
    """Of the pixels that count, the share of each class, (C,)."""
    counted = mask[mask != IGNORED].long()
    return counted.bincount(minlength=count).float() / max(len(counted), 1)


def _decoded(answer_Chw: np.ndarray, labels: Sequence[str]) -> Prediction:
    (maps,) = label_maps(answer_Chw[None], answer_Chw.shape[-2:])
    shares = _shares(maps[0], len(labels))
    there = [(labels[index], float(shares[index])) for index in shares.argsort(descending=True) if shares[index] > 0]
    return Prediction(
        text=", ".join(f"{name} {share:.1%}" for name, share in there),
        document={"shares": dict(there)},
    )
