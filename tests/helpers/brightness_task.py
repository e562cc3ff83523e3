"""A task of another package, whole in one file: how bright an image is, 0 to 1, from a table beside the images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.data import ArraySplit, Augmentation, Dataset, Preprocessing, Split, choose_input
from ridgepoint.data.images import FolderSource, digest_of
from ridgepoint.report.parts.part import Part, Section
from ridgepoint.run.records import read_record, write_record
from ridgepoint.run.result import FitResult
from ridgepoint.tasks.task import Agreement, Prediction
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.recipe import Recipe, usual_recipe
from ridgepoint.train.samples import Shares
from ridgepoint.train.score import Score

TABLE = "brightness.csv"


class Brightness:
    name = "brightness"
    metric = "closeness"
    by_label = ""
    outputs = ("brightness",)
    part = "brightness_task:PART"

    def read(self, spec: str | Path, *, seed: int, root: Path | None, download: bool = True) -> Dataset | None:
        if not (Path(spec) / TABLE).is_file():
            return None
        whole = self.whole(spec, (self.name,), root=root)
        order = np.random.default_rng(seed).permutation(len(whole))
        fifth = len(whole) // 5
        parts = [part_of(whole, order[chosen]) for chosen in np.split(np.arange(len(whole)), [-2 * fifth, -fifth])]
        return Dataset(
            name=Path(spec).name, kind="a brightness table", classes=(self.name,), train=parts[0], val=parts[1],
            test=parts[2], skipped=(), notes=(), split_note="a fifth each", split_seed=seed, median_size=(16, 16),
            grey=True, white=None,
        )  # fmt: skip

    def whole(self, spec: str | Path, labels: Sequence[str], *, root: Path | None) -> Split:
        rows = [line.split(",") for line in (Path(spec) / TABLE).read_text().splitlines()]
        digests = {name: digest_of((Path(spec) / name).read_bytes()) for name, _ in rows}
        truth = np.array([float(value) for _, value in rows], np.float32)
        return Split(tuple(digests), truth, FolderSource(Path(spec), digests))

    def summary(self, data: Dataset) -> str:
        return f"{data.name}: {data.kind}, {len(data.train)} images to learn from"

    def input(self, data: Dataset, size: int | None) -> tuple[Preprocessing, str]:
        return choose_input(data, size=size)

    def augmentation(self, data: Dataset, preprocessing: Preprocessing) -> Augmentation:
        return Augmentation(horizontal_flip=0.5)

    def head(self, data: Dataset) -> Closing:
        return Closing(num_classes=1, head=PooledHead())

    def recipe(self, size: int, *, trained: bool) -> str:
        return usual_recipe(size, trained=trained)

    def batches(
        self, data: TrainingData, recipe: Recipe, *, outputs: int, seed: int, accelerator: torch.device
    ) -> Batches:
        alone = msgspec.structs.replace(recipe, mixing=Mixing())
        return AugmentedBatches(data, alone, num_classes=outputs, seed=seed, accelerator=accelerator)

    def loss(self, recipe: Recipe) -> Loss:
        return lambda model, batch: torch.nn.functional.mse_loss(model(batch.images)[:, 0], batch.targets)

    def score(self, outputs: Any, truth: Any) -> Score:
        error = float(np.abs(np.asarray(outputs)[:, 0] - np.asarray(truth)).mean())
        return Score(value=max(1.0 - error, 0.0), parts={"error": error}, count=len(truth))

    def words(self, targets: Tensor, labels: Sequence[str]) -> list[Shares]:
        return [((f"{target:.2f} bright", 1.0),) for target in targets.tolist()]

    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        return Agreement(name="equal to 0.01", share=float((np.abs(source - exported) < 0.01).mean()))

    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Prediction]:
        return [Prediction(text=f"{x:.3f} bright", document={"brightness": float(x)}) for x in outputs[:, 0]]

    def tell(self, score: Score, labels: Sequence[str]) -> list[str]:
        return [f"Mean error {score.parts['error']:.4f}"]

    def write_evaluation(self, folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
        errors = np.abs(outputs[:, 0] - test.labels.numpy())
        write_record(
            folder / "evaluation.json", {"worst": test.ids[int(errors.argmax())], "error": float(errors.max())}
        )


class BrightnessPart(Part):
    agrees = "same brightness as the trained network"

    def read(self, folder: Path, result: FitResult) -> Any:
        return read_record(folder / "evaluation.json", dict, otherwise="Fit again")

    def section(self, folder: Path, result: FitResult, evaluation: Any) -> Section:
        worst = Markup("<section id='worst'><h2>Furthest off</h2><p>{worst}, by {error:.3f}</p></section>")
        return Section(worst.format(**evaluation))

    def lines(self, evaluation: Any) -> list[str]:
        return [f"Furthest off: {evaluation['worst']}."]


def part_of(whole: Split, chosen: np.ndarray) -> Split:
    return Split(tuple(whole.ids[index] for index in chosen), whole.labels[chosen], whole.source)


TASK, PART = Brightness(), BrightnessPart()
