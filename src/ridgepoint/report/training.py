"""The page of a training: how it went, step by step, and the images as the network saw them.

Everything is inside the page and nothing is fetched.
"""

import itertools
import shlex
from pathlib import Path

import msgspec
import plotly.graph_objects as go
import yaml
from markupsafe import Markup

from ridgepoint.deploy.runtimes import model_file
from ridgepoint.distill.settings import DistillSettings
from ridgepoint.report.figures import BASELINE, CHOSEN, FINALIST, LINES, TABLED, blank_figure
from ridgepoint.report.int8 import read_verdicts
from ridgepoint.report.parts.find import find_part
from ridgepoint.report.parts.part import Part
from ridgepoint.report.picture import picture_uri
from ridgepoint.report.result import OTHERWISE, Metric, read_asked, read_metrics, require
from ridgepoint.report.template import kilobytes, template
from ridgepoint.report.verdict import (
    RISING,
    Step,
    Verdict,
    gain,
    has_learnt,
    longer,
    tells_learning,
)
from ridgepoint.run.folder import RESULT
from ridgepoint.run.quantised import Quantised
from ridgepoint.run.records import read_record
from ridgepoint.run.result import Accuracy, TrainResult
from ridgepoint.train.samples import Sample, read_samples
from ridgepoint.train.settings import TrainSettings

_CURVES = (
    ("loss", "training loss", "~g", BASELINE, "linear"),
    ("val_accuracy", "validation {metric}", ".0%", CHOSEN, "linear"),
    ("learning_rate", "learning rate", "~g", LINES[2], "linear"),
    ("weight_decay", "weight decay", "~g", FINALIST, "linear"),
    ("resolution", "resolution in px", "d", TABLED, "hv"),
)
"""Quantity, title, format of numbers, colour and shape of the line."""


class Training(msgspec.Struct, kw_only=True):
    """A training's folder in memory."""

    folder: Path
    result: TrainResult
    settings: TrainSettings | None
    rows: list[Metric]
    samples: list[Sample]
    part: Part
    int8: dict[str, Quantised] = {}


def read_training(folder: Path) -> Training:
    """Everything that the page and the terminal tell of a training.

    Raises:
        RunError: If the training is not finished, or what it wrote is damaged.
    """
    require(folder, RESULT)
    result = read_record(folder / RESULT, TrainResult, otherwise=OTHERWISE)
    kind = TrainSettings if result.teacher is None else DistillSettings
    return Training(
        folder=folder,
        result=result,
        settings=read_asked(folder, kind),
        rows=read_metrics(folder),
        samples=read_samples(folder),
        part=find_part(result.task),
        int8=read_verdicts(folder),
    )


def training_verdict(training: Training) -> Verdict:
    """What a training came to, and what to do next."""
    result, settings = training.result, training.settings
    accuracy = Accuracy(
        artefact=result.accuracy["test"],
        balanced=result.balanced,
        majority=result.majority,
        count=result.counts["test"],
    )
    rise, learnt = gain(training.rows), has_learnt(accuracy, training.part)
    steps = []
    if settings is not None and (rise > RISING or not learnt):
        steps.append(Step("Give it more time", longer(settings, result.recipe).command()))
    name = shlex.quote(str(training.folder))
    steps.append(Step("Export it", f"ridgepoint export {name}"))
    steps.append(Step("Then clock it", f"ridgepoint bench {shlex.quote(str(training.folder / model_file()))}"))
    return Verdict(
        tone="good" if learnt else "open",
        badge="trained" if learnt else "nothing learnt",
        sentences=(
            training.part.sentence(result.metric, accuracy, of="the trained network"),
            *tells_learning(result.metric, result.epochs, learnt=learnt, rise=rise),
        ),
        guess=training.part.guess(accuracy),
        steps=tuple(steps),
    )


def training_page(folder: Path) -> str:
    """The page as HTML.

    Raises:
        RunError: If the training is not finished, or what it wrote is damaged.
    """
    training = read_training(folder)
    result = training.result
    groups = {name: list(each) for name, each in itertools.groupby(training.samples, key=lambda each: each.group)}
    curves = [(key, title.format(metric=result.metric), *how) for key, title, *how in _CURVES]
    known = {key: [getattr(row, key) for row in training.rows if getattr(row, key) is not None] for key, *_ in curves}
    drawn = [(key, *how) for key, *how in curves if len(set(known[key])) > 1]
    section = training.part.training(result)
    figures = {key: curve(training.rows, key, *how) for key, *how in drawn}
    return template("training.html.jinja", png=picture_uri, percent=_percent, kilobytes=kilobytes).render(
        result=result,
        verdict=training_verdict(training),
        name=Path(result.model).stem,
        interval=training.part.interval(result.accuracy["test"], result.counts["test"]),
        section=section,
        curves=list(figures),
        groups=groups,
        constant={title: known[key][0] for key, title, *_ in curves if len(set(known[key])) == 1},
        int8=training.int8,
        recipe=yaml.safe_dump(result.recipe, sort_keys=False, allow_unicode=True),
        figures={key: Markup(figure.to_json()) for key, figure in (figures | section.figures).items()},
    )


def curve(rows: list[Metric], key: str, title: str, tickformat: str, colour: str, shape: str) -> go.Figure:
    """One quantity against the step; rows that do not have it are left out."""
    known = [row for row in rows if getattr(row, key) is not None]
    figure = blank_figure(height=300 if key in ("loss", "val_accuracy") else 220)
    figure.add_scatter(
        x=[row.step for row in known],
        y=[getattr(row, key) for row in known],
        mode="lines+markers" if len(known) <= 40 else "lines",
        line={"color": colour, "width": 2, "shape": shape},
        marker={"size": 5},
        hovertemplate=f"step %{{x:,}}<br>{title} %{{y:.4~g}}<extra></extra>",
    )
    figure.update_layout(margin={"t": 12})
    figure.update_xaxes(title_text="step", rangemode="tozero")
    figure.update_yaxes(title_text=title, tickformat=tickformat, rangemode="normal" if key == "loss" else "tozero")
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
