"""Classification: confusion, recall by class, the surest mistakes, and what always one class would reach."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.errors import shortened
from ridgepoint.report.figures import blank_figure, label
from ridgepoint.report.interval import interval
from ridgepoint.report.parts.part import Part, Section
from ridgepoint.report.picture import picture_uri
from ridgepoint.report.template import template
from ridgepoint.run.evaluation import EVALUATION, Evaluation, Mistake
from ridgepoint.run.records import read_record
from ridgepoint.run.result import Accuracy, FitResult, TrainResult

OTHERWISE = "Run the command that wrote it again"
MANY_CLASSES, LONGEST = 30, 22
LEAST_FOUND, UNEQUAL = 5, 0.15
"""So many classes are named at most, where the recalls of some differ by more than this share."""


class Picture(msgspec.Struct, frozen=True):
    """A wrongly classified image, as a data URI, with its words."""

    source: str
    true: str
    predicted: str
    probability: float | None


class ClassificationPart(Part):
    """See `Part`."""

    scores = "accuracies"
    labels = "classes"
    agrees = "same class as the trained network"
    own_data = "photographs of your own, in class folders"
    apps = True

    def read(self, folder: Path, result: FitResult) -> Evaluation | None:
        """`evaluation.json`; it tells what results of earlier versions did not write down."""
        path = folder / EVALUATION
        if not path.is_file():
            return None
        found = read_record(path, Evaluation, otherwise=OTHERWISE)
        if found.confusion and result.accuracy.majority is None:
            counted = found.accuracy()
            result.accuracy.balanced, result.accuracy.majority = counted.balanced, counted.majority
        return found

    def interval(self, share: float, count: int) -> tuple[float, float]:
        """Wilson's, of the share of right images."""
        return interval(share, count)

    def sentence(self, metric: str, accuracy: Accuracy, *, of: str) -> str:
        """How many of the test images are right, with the interval of that share."""
        if accuracy.artefact is None:
            return f"How many images {of} gets right is not known."
        known = f" ({_range(accuracy.artefact, accuracy.count)})" if accuracy.count else ""
        images = f"{accuracy.count} " if accuracy.count else ""
        return f"{_percent(accuracy.artefact)}{known} of {images}untouched {accuracy.split} images are right."

    def guess(self, accuracy: Accuracy) -> str:
        """Always the most frequent class, and all classes counting alike."""
        told = []
        if accuracy.majority is not None:
            told.append(f"Always answering the most frequent class: {_percent(accuracy.majority)}.")
        if accuracy.balanced is not None:
            told.append(f"Balanced accuracy, all classes counting alike: {_percent(accuracy.balanced)}.")
        return " ".join(told)

    def section(self, folder: Path, result: FitResult, evaluation: Evaluation | None) -> Section:
        """Confusion, recalls, and the mistakes whose image is inside the run folder."""
        figures = {"confusion": confusion_map(evaluation)} if evaluation is not None and evaluation.confusion else {}
        pictures, lost = _pictures(folder, evaluation)
        known = [row for row in (evaluation.per_class if evaluation else []) if row.recall is not None]
        html = template("parts/classification.html.jinja", percent=_percent).render(
            evaluation=evaluation,
            figures=figures,
            recalls=sorted(known, key=lambda row: row.recall or 0.0),
            pictures=pictures,
            lost_pictures=lost,
        )
        return Section(Markup(html), figures)

    def training(self, result: TrainResult) -> Section:
        """The recall of every class, the one that is found least first."""
        recalls = sorted((recall, name) for name, recall in result.recall.items() if recall is not None)
        return Section(Markup(template("parts/recalls.html.jinja", percent=_percent).render(recalls=recalls)))

    def lines(self, evaluation: Evaluation | None) -> list[str]:
        """The classes that are found least, where classes differ."""
        return [] if evaluation is None else _unequal({row.label: row.recall for row in evaluation.per_class})

    def training_lines(self, result: TrainResult) -> list[str]:
        """The same of a training."""
        return _unequal(result.recall)


PART = ClassificationPart()


def confusion_map(evaluation: Evaluation) -> go.Figure:
    """True classes as rows, predictions as columns; colour is the share of the row, the number counts images."""
    names = [label(name) for name in evaluation.classes]
    short = [label(shortened(name, LONGEST)) for name in evaluation.classes]
    counts, places = evaluation.confusion, list(range(len(names)))
    few = len(names) <= MANY_CLASSES
    figure = blank_figure(height=min(190 + 26 * len(names), 840))
    figure.add_heatmap(
        x=places,
        y=places,
        z=[[count / (sum(row) or 1) for count in row] for row in counts],
        customdata=[
            [[count, true, taken] for count, taken in zip(row, names, strict=True)]
            for row, true in zip(counts, names, strict=True)
        ],
        text=[[str(count) if count else "" for count in row] for row in counts],
        texttemplate="%{text}" if few else None,
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        hovertemplate="true %{customdata[1]}<br>predicted %{customdata[2]}<br>%{customdata[0]} images, %{z:.1%} of the "
        "class<extra></extra>",
    )
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "showscale": False})
    ticks = {"tickvals": places, "ticktext": short} if few else {"nticks": 20}
    figure.update_xaxes(title_text="predicted", tickangle=-60, showgrid=False, **ticks)
    figure.update_yaxes(title_text="true", autorange="reversed", showgrid=False, **ticks)
    return figure


def _pictures(folder: Path, evaluation: Evaluation | None) -> tuple[list[Picture], int]:
    """The mistakes whose image is inside the run folder, and how many had none there."""
    mistakes = evaluation.mistakes if evaluation is not None else []
    found = [(mistake, _data_uri(folder, mistake)) for mistake in mistakes]
    pictures = [
        Picture(source, evaluation.name(mistake.true), evaluation.name(mistake.predicted), mistake.probability)
        for mistake, source in found
        if source is not None and evaluation is not None
    ]
    return pictures, len(found) - len(pictures)


def _data_uri(folder: Path, mistake: Mistake) -> str | None:
    path = (folder / (mistake.image or "")).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return picture_uri(path.read_bytes())


def _unequal(recalls: Mapping[str, float | None]) -> list[str]:
    known = sorted((recall, name) for name, recall in recalls.items() if recall is not None)
    if not known or known[-1][0] - known[0][0] <= UNEQUAL:
        return []
    told = ", ".join(f"{name} {100 * recall:.0f} %" for recall, name in known[:LEAST_FOUND])
    best, name = known[-1]
    more = ", ..." if len(known) > LEAST_FOUND else ""
    return [f"Recall differs by class: {told}{more}; best {name} {100 * best:.0f} %."]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(share: float, count: int) -> str:
    low, high = interval(share, count)
    return f"{100 * low:.1f} to {100 * high:.1f}"
