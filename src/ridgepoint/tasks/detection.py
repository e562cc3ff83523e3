"""Object detection: boxes and their classes, from COCO, YOLO, Pascal VOC and LabelMe."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.heads.detector import Detector, spread_anchors
from ridgepoint.arch.shape import Shape
from ridgepoint.data import ArraySplit, Augmentation, Dataset, Preprocessing, Split, choose_squashed
from ridgepoint.data.augment import Geometry
from ridgepoint.data.boxes.reading import read_boxes
from ridgepoint.data.boxes.truth import BoxTruth, cut_rows
from ridgepoint.data.dataset import assemble
from ridgepoint.data.images import joined
from ridgepoint.deploy.verify import Parity
from ridgepoint.errors import DataError
from ridgepoint.nn.anchored import anchor_boxes
from ridgepoint.tasks.asked import folder_for
from ridgepoint.tasks.boxes.anchors import choose_anchors
from ridgepoint.tasks.boxes.average_precision import LARGE, SMALL, average_precision, mean_precisions
from ridgepoint.tasks.boxes.evaluation import captions, drawn, write_detected
from ridgepoint.tasks.boxes.final import SHOWN, Boxes, final_boxes
from ridgepoint.tasks.boxes.hits import precision_and_recall
from ridgepoint.tasks.boxes.matching import unmatchable
from ridgepoint.tasks.boxes.multibox import multibox
from ridgepoint.tasks.boxes.rows import BOX, CROWD, LABEL, SCORES
from ridgepoint.tasks.boxes.same import SAME, SEEN, differences
from ridgepoint.tasks.task import Agreement, Prediction
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData
from ridgepoint.train.recipe import SMALL_IMAGE, Recipe
from ridgepoint.train.samples import Shares
from ridgepoint.train.score import Score

SAME_BOXES = "share of images with the same boxes"
SAME_FINAL = "share of images with the same final boxes"
BY_SIZE = ("AP_small", "AP_medium", "AP_large")


class Detection:
    """See `ridgepoint.tasks.task.Task`. Networks end in SSDLite with anchors from the data."""

    name = "detection"
    metric = "mAP50-95"
    by_label = "AP"
    outputs: tuple[str, ...] = ("detections",)
    part = "ridgepoint.report.parts.detection:PART"

    def read(self, spec: str | Path, *, seed: int, root: Path | None, download: bool = True) -> Dataset | None:
        """A folder of images with boxes."""
        folder, named = folder_for(self.name, spec)
        found = None if folder is None else read_boxes(folder)
        if found is None and named:
            raise _no_boxes(spec)
        return None if found is None else _with_objects(assemble(found, seed=seed), spec)

    def whole(self, spec: str | Path, labels: Sequence[str], *, root: Path | None) -> Split:
        """All images with boxes, their classes matched by name to the labels."""
        folder, _ = folder_for(self.name, spec)
        found = None if folder is None else read_boxes(folder, labels=labels)
        if found is None:
            raise _no_boxes(spec)
        whole = joined(list(found.given.values()))
        if not _holds_objects(whole):
            raise DataError(
                f"'{spec}': none of the {len(whole):,} images holds an object, crowds and difficult ones left aside: "
                "no judgement"
            )
        return whole

    def summary(self, data: Dataset) -> str:
        """Objects by class and their size, parts, what anchors cannot match, and what deserves attention."""
        rows = np.concatenate([truth_rows(getattr(data, part)) for part in ("train", "val", "test")])
        objects = rows[(rows[..., LABEL] >= 0) & (rows[..., CROWD] == 0)]
        numbers = objects[:, LABEL].astype(int)
        counts = np.bincount(numbers, minlength=len(data.classes))
        sides = np.sqrt((objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2]))
        named = [
            f"{name} {count:,}" + (f" (side {np.median(sides[numbers == number]):.1%})" if count else "")
            for number, (name, count) in enumerate(zip(data.classes, counts, strict=True))
        ]
        more = f", and {len(named) - 12} more" if len(named) > 12 else ""
        told = f"{len(objects):,} objects, with the median side of their boxes in parts of the image's: "
        return data.summary([told + ", ".join(named[:12]) + more, self._matchable(data)])

    def _matchable(self, data: Dataset) -> str:
        """How many objects of each class no anchor overlaps enough, at the usual input size."""
        head, (prepared, _) = _head(data), self.input(data, None)
        anchors_A4 = _anchors_at(head, prepared.height, prepared.width)
        missed, counts = unmatchable(torch.from_numpy(truth_rows(data.train)), anchors_A4)
        named = [
            f"{data.classes[number]} {int(bad)} of {int(count)}"
            for number, (bad, count) in enumerate(zip(missed, counts, strict=True))
            if bad
        ]
        told = f"anchors: {len(head.anchors)}, chosen from the objects to learn from, where a network has none of its "
        told += f"own; at {prepared.height} px "
        if not named:
            return told + "each of these has one that overlaps it by an IoU of 0.5"
        share = float(missed.sum() / counts.sum())
        worst = float((missed / counts.clamp(min=1)).max())
        advice = "; a larger --size finds more of them" if worst > 0.1 else ""
        shown = ", ".join(named[:8]) + (", ..." if len(named) > 8 else "")
        return told + f"{share:.1%} have none that overlaps them by an IoU of 0.5 ({shown}){advice}"

    def input(self, data: Dataset, size: int | None) -> tuple[Preprocessing, str]:
        """A square into which the whole image is squashed, so that no object is cut off."""
        return choose_squashed(data, size=size)

    def augmentation(self, data: Dataset, preprocessing: Preprocessing) -> Augmentation:
        """Mirrored, and colours varied: minutes of training want little more. Boxes follow crops, too."""
        names = [word for name in data.classes for word in name.casefold().replace("_", " ").split()]
        sided = "left" in names or "right" in names or all(len(name) == 1 for name in data.classes)
        return Augmentation(horizontal_flip=0.0 if sided else 0.5, color_jitter=0.2)

    def head(self, data: Dataset) -> Closing:
        """SSDLite, its anchors chosen from the objects to learn from; of small images on finer maps. Or its own."""
        return Closing(num_classes=len(data.classes), head=_head(data), answers="boxes", keep=True)

    def recipe(self, size: int, *, trained: bool) -> str:
        """For boxes, whatever the size."""
        return "boxes_finetune" if trained else "boxes"

    def batches(
        self, data: TrainingData, recipe: Recipe, *, outputs: int, seed: int, accelerator: torch.device
    ) -> Batches:
        """Varied images; their boxes move with them."""
        return AugmentedBatches(data, recipe, num_classes=outputs, seed=seed, accelerator=accelerator, follow=follow)

    def loss(self, recipe: Recipe) -> Loss:
        """Smooth L1 of places, cross-entropy of classes with the hardest of the background."""
        smoothing = recipe.label_smoothing
        return lambda model, batch: multibox(model(batch.images), batch.targets, label_smoothing=smoothing)

    def score(self, outputs: Any, truth: Any) -> Score:
        """Mean average precision over IoUs and classes, as COCO has it."""
        rows_NAC, truth_NM6 = np.asarray(outputs), np.asarray(truth)
        found = [final_boxes(rows) for rows in rows_NAC]
        told = average_precision(found, truth_NM6, rows_NAC.shape[-1] - SCORES.start)
        precision, recall = precision_and_recall(found, truth_NM6, SHOWN)
        parts = {"mAP50": told.at_50, "mAP75": told.at_75, "average_recall": told.recall}
        parts |= {name: value for name, value in zip(BY_SIZE, told.by_size, strict=True) if value is not None}
        parts |= {"shown_precision": precision, "shown_recall": recall}
        return Score(value=told.all, parts=parts, by_label=told.by_class, count=len(truth_NM6))

    def scores(self, outputs: np.ndarray, truth: Any, choices: Sequence[np.ndarray]) -> list[float]:
        """See `ridgepoint.tasks.int8.ManyScores`."""
        found = [final_boxes(rows) for rows in outputs]
        return mean_precisions(found, np.asarray(truth), outputs.shape[-1] - SCORES.start, choices)

    def words(self, targets: Tensor, labels: Sequence[str]) -> list[Shares]:
        """How many objects of each class."""
        found = []
        for rows in targets:
            counts = Counter(rows[rows[:, LABEL] >= 0][:, LABEL].long().tolist())
            found.append(tuple((f"{count} {labels[number]}", 1.0) for number, count in counts.most_common(3)))
        return found

    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        """The share of images whose probabilities are the same, and the places of all that is probable, to 0.01."""
        near = np.abs(source - exported)
        scores = (near[..., SCORES] <= SAME).all((1, 2))
        probable = source[..., SCORES].max(-1) >= SEEN
        places = ((near[..., BOX] <= SAME).all(-1) | ~probable).all(1)
        return Agreement(name=SAME_BOXES, share=float((scores & places).mean()))

    def same_boxes(self, source: np.ndarray, exported: np.ndarray) -> Parity:
        """See `ridgepoint.tasks.suppression.FinalBoxes`."""
        apart = differences(*([final_boxes(rows) for rows in each] for each in (source, exported)))
        largest = max((each for each in apart if each < np.inf), default=0.0)
        return Parity(
            max_abs_diff=largest,
            max_relative_diff=largest,
            agrees=SAME_FINAL,
            agreement=float(np.isfinite(apart).mean()),
            count=len(apart),
        )

    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Prediction]:
        """The boxes that are probable enough to be shown, the surest first; places in parts of the image."""
        return [_told(final_boxes(rows, least_score=SHOWN), labels) for rows in outputs]

    def draw(self, image: Image.Image, outputs: np.ndarray, labels: Sequence[str]) -> Image.Image:
        """The image with the boxes that are shown, each with its class and score."""
        boxes = final_boxes(outputs[0], least_score=SHOWN)
        pixels_CHW = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        drawn_CHW = drawn(pixels_CHW, boxes.places, boxes.labels, captions(boxes, labels))
        return Image.fromarray(drawn_CHW.permute(1, 2, 0).numpy())

    def tell(self, score: Score, labels: Sequence[str]) -> list[str]:
        """At single overlaps, and the precision of every class."""
        named = [
            f"  {name:>20}  AP {'(no objects)' if value is None else f'{value:.3f}'}"
            for name, value in zip(labels, score.by_label, strict=True)
        ]
        return [
            f"mAP50 {score.parts['mAP50']:.4f}, mAP75 {score.parts['mAP75']:.4f}, average recall "
            f"{score.parts['average_recall']:.4f}",
            *_by_size(score.parts),
            f"Of the boxes that are shown (score {SHOWN} or more) {score.parts['shown_precision']:.1%} find an object, "
            f"and of the objects {score.parts['shown_recall']:.1%} are found",
            *named,
        ]

    def write_evaluation(self, folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
        """What is found and missed of every class, and the worst images with their boxes."""
        write_detected(folder, labels, test, outputs)


def _by_size(parts: Mapping[str, float]) -> list[str]:
    """How well small objects are found beside large ones, where there are such."""
    sides = (f"up to {SMALL:.0%}", f"up to {LARGE:.0%}", "more")
    named = [f"{side} {parts[name]:.4f}" for side, name in zip(sides, BY_SIZE, strict=True) if name in parts]
    return [f"By the side of an object in parts of the image's: {', '.join(named)}"] if len(named) > 1 else []


def truth_rows(split: Split) -> np.ndarray:
    """The objects of all images of a split, float32 (N, M, 6), in parts of the images.

    Raises:
        DataError: If it is of no data with boxes.
    """
    truth = split.truth
    if isinstance(truth, BoxTruth):
        return np.stack([truth.rows[name] for name in split.ids])
    raise DataError("these are no images with boxes. Give a folder of COCO, YOLO, VOC or LabelMe")


def follow(truth_BM6: Tensor, geometry: Geometry, size: tuple[int, int]) -> Tensor:
    """Boxes moved as their images were; what is hardly seen any more counts as neither right nor wrong."""
    places = geometry.boxes(truth_BM6[..., 1:5].cpu())
    rows = torch.cat([truth_BM6[..., :1].cpu(), places, truth_BM6[..., 5:].cpu()], -1)
    return torch.from_numpy(cut_rows(rows.numpy())).to(truth_BM6.device)


@lru_cache(maxsize=4)
def _head(data: Dataset) -> Detector:
    anchors = choose_anchors(truth_rows(data.train))
    small = min(data.median_size) <= SMALL_IMAGE
    return Detector(anchors=anchors, finer=2, fine=4) if small else Detector(anchors=anchors)


def _anchors_at(head: Detector, height: int, width: int) -> Tensor:
    """All anchors that networks of total stride 32 have for an input of that size."""
    strides = (head.finer, head.fine, *(2**power for power in range(5, 6 + head.smaller)))
    maps = [Shape(1, -(-height // int(stride)), -(-width // int(stride))) for stride in strides]
    spread = [(own, each) for own, each in zip(spread_anchors(head.anchors, maps), maps, strict=True) if own]
    return anchor_boxes([own for own, _ in spread], [(each.height, each.width) for _, each in spread])


def _with_objects(data: Dataset, spec: str | Path) -> Dataset:
    """The same data.

    Raises:
        DataError: If no image of a part holds an object: nothing can be learnt from it, or judged by it.
    """
    for part, verb in (("train", "to learn from"), ("val", "to choose by"), ("test", "to judge by")):
        if not _holds_objects(split := getattr(data, part)):
            raise DataError(
                f"'{spec}': none of the {len(split):,} images {verb} ({part}) holds an object, crowds and difficult "
                "ones left aside. Mark objects on them; a part that is given may be taken out, and is drawn then, by "
                "another --seed otherwise"
            )
    return data


def _holds_objects(split: Split) -> bool:
    rows = truth_rows(split)
    return bool(((rows[..., LABEL] >= 0) & (rows[..., CROWD] == 0)).any())


def _no_boxes(spec: str | Path) -> DataError:
    return DataError(
        f"'{spec}': is no folder of images with boxes. Give one of COCO JSON, YOLO texts, Pascal VOC XML or LabelMe "
        "JSON"
    )


def _told(boxes: Boxes, labels: Sequence[str]) -> Prediction:
    counts = Counter(labels[label] for label in boxes.labels)
    text = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"
    rows = zip(boxes.places.tolist(), boxes.labels.tolist(), boxes.scores.tolist(), strict=True)
    document = [
        {"label": labels[label], "score": score, "box": [round(value, 5) for value in place]}
        for place, label, score in rows
    ]
    return Prediction(text=text, document={"boxes": document})


DETECTION = Detection()
