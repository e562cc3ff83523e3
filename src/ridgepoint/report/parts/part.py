"""The contract of a task's part of the report, and what a task without one of its own is shown by."""

from pathlib import Path
from typing import Any

import msgspec
import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.report.template import opening
from ridgepoint.run.result import Accuracy, FitResult, TrainResult


class Section(msgspec.Struct, frozen=True):
    """HTML for the page, and the figures that it has room for, `<div class="figure" data-figure="NAME">`."""

    html: Markup = Markup()
    figures: dict[str, go.Figure] = {}


class Part:
    """What every task can be told by: its score. A task's own part derives from it and says more.

    Attributes:
        scores: What scores are called, in the plural.
        labels: What the labels of a file are called.
        agrees: What the export check compared, so that a share of images may follow.
        own_data: What of a user's own a file can be evaluated on.
        apps: Whether the code for apps is for such files.
    """

    scores = "scores"
    labels = "outputs"
    agrees = "same answer as the trained network"
    own_data = "data of your own"
    apps = False

    def read(self, folder: Path, result: FitResult) -> Any:
        """What `write_evaluation` of the task left in a run's folder; None where it left nothing.

        Raises:
            RunError: If it is damaged.
        """
        return None

    def interval(self, share: float, count: int) -> tuple[float, float] | None:
        """How well a score on so many images is known; None where that is not known."""
        return None

    def sentence(self, metric: str, accuracy: Accuracy, *, of: str) -> str:
        """How good the answers of a file or network are, in one sentence."""
        if accuracy.artefact is None:
            return f"The {metric} of {of} is not known."
        images = f"{accuracy.count} " if accuracy.count else ""
        return f"{opening(metric)} {accuracy.artefact:.4f} on {images}untouched {accuracy.split} images."

    def guess(self, accuracy: Accuracy) -> str:
        """What the score is to be held against; empty where there is nothing."""
        return ""

    def section(self, folder: Path, result: FitResult, evaluation: Any) -> Section:
        """What the exported file gets wrong, given the run's folder and what `read` found there."""
        return Section()

    def training(self, result: TrainResult) -> Section:
        """What a trained network gets wrong."""
        return Section()

    def lines(self, evaluation: Any) -> list[str]:
        """The same as `section` in lines for the terminal."""
        return []

    def training_lines(self, result: TrainResult) -> list[str]:
        """The same as `training` in lines for the terminal."""
        return []
