"""The page of a training: how it went, step by step, and the images as the network saw them.

Everything is inside the page and nothing is fetched.
"""

import base64
import itertools
from pathlib import Path

import plotly.graph_objects as go
import yaml
from markupsafe import Markup

from ridgepoint.report.figures import BASELINE, CHOSEN, FINALIST, LINES, TABLED, blank_figure
from ridgepoint.report.interval import interval
from ridgepoint.report.result import OTHERWISE, Metric, read_metrics, require
from ridgepoint.report.template import template
from ridgepoint.run.folder import RESULT
from ridgepoint.run.records import read_record
from ridgepoint.run.result import TrainResult
from ridgepoint.train.samples import read_samples
from ridgepoint.units import format_duration

_CURVES = (
    ("loss", "training loss", "~g", BASELINE, "linear"),
    ("val_accuracy", "validation accuracy", ".0%", CHOSEN, "linear"),
    ("learning_rate", "learning rate", "~g", LINES[2], "linear"),
    ("weight_decay", "weight decay", "~g", FINALIST, "linear"),
    ("resolution", "resolution, px", "d", TABLED, "hv"),
)
"""Quantity, title, format of numbers, colour and shape of the line."""


def training_page(folder: Path) -> str:
    """The page as HTML.

    Raises:
        RunError: If the training is not finished, or what it wrote cannot be read.
    """
    require(folder, RESULT)
    result = read_record(folder / RESULT, TrainResult, otherwise=OTHERWISE)
    samples = read_samples(folder)
    groups = {name: list(each) for name, each in itertools.groupby(samples, key=lambda sample: sample.group)}
    rows = read_metrics(folder)
    figures = {key: curve(rows, key, *how) for key, *how in _CURVES}
    return template("training.html.jinja", png=_data_uri, percent=_percent, duration=format_duration).render(
        result=result,
        name=Path(result.model).stem,
        interval=interval(result.accuracy["test"], result.counts["test"]),
        groups=groups,
        recipe=yaml.safe_dump(result.recipe, sort_keys=False, allow_unicode=True),
        figures={key: Markup(figure.to_json()) for key, figure in figures.items()},
    )


def curve(rows: list[Metric], key: str, title: str, tickformat: str, colour: str, shape: str) -> go.Figure:
    """One quantity against the step; rows that do not have it are left out."""
    known = [row for row in rows if getattr(row, key) is not None]
    figure = blank_figure(height=300)
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


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
