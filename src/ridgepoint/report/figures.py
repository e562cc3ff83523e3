"""The report's figures with plotly, and the one picture that is drawn without it.

Colours that must follow light and dark (text, grid, paper, the heat map's scale) are left to the page.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from ridgepoint.files import write_atomic
from ridgepoint.report.blocks import BlockRow
from ridgepoint.report.points import Mark, Marks, collect, label_sides, pareto
from ridgepoint.report.result import Metric, read_run
from ridgepoint.report.scatter import scatter_svg
from ridgepoint.run.evaluation import Evaluation

# Told apart by colour-blind eyes, and readable on white and on near-black.
CHOSEN, BASELINE, FINALIST, TABLED, BUDGET = "#d9480f", "#2f78d6", "#8a63d2", "#8792a2", "#d6336c"
LINES = (CHOSEN, "#2f78d6", "#1f9d76", "#8a63d2", "#b8860b", "#8792a2")
_MANY_CLASSES = 25


def accuracy_latency(marks: Marks) -> go.Figure:
    """Accuracy against latency: measured files as filled marks, tabled candidates as faint ones, front and budget."""
    figure = blank_figure(height=460)
    short = f"measured, {marks.split} images"
    _scatter(figure, marks.tabled, "tabled, short training (validation images)", TABLED, symbol="circle", faint=True)
    front = pareto(marks.measured)
    if len(front) > 1:
        figure.add_scatter(
            x=[mark.ms for mark in front],
            y=[mark.accuracy for mark in front],
            mode="lines",
            line={"color": BASELINE, "width": 1.5, "dash": "dot", "shape": "hv"},
            name="Pareto front of the measured files",
            hoverinfo="skip",
        )
    sides = _sides(marks)
    one, two = len(marks.chosen), len(marks.chosen) + len(marks.finalists)
    _scatter(figure, marks.baselines, f"baseline: {short}", BASELINE, symbol="square", size=10, sides=sides[two:])
    _scatter(figure, marks.finalists, f"finalist: {short}", FINALIST, symbol="diamond", size=11, sides=sides[one:two])
    _scatter(figure, marks.chosen, f"chosen: {short}", CHOSEN, symbol="star", size=17, sides=sides[:one])
    figure.update_layout(legend={"y": 1.1})  # above the budget's name
    figure.add_vline(x=marks.budget_ms, line={"color": BUDGET, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=marks.budget_ms,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=f"budget {marks.budget_ms:g} ms",
        showarrow=False,
        font={"color": BUDGET},
    )
    figure.update_xaxes(title_text="latency of one image, ms", rangemode="tozero")
    figure.update_yaxes(title_text="accuracy", tickformat=".0%")
    return figure


def block_shares(rows: Sequence[BlockRow]) -> go.Figure:
    """Each block's share of MACs and of parameters, in the form that ships."""
    figure = blank_figure(height=380)
    paths = [row.path for row in rows]
    kinds = [escape(f"{row.name} {row.detail}") for row in rows]
    for name, colour, counts in (
        ("MACs", CHOSEN, [row.deploy_macs for row in rows]),
        ("parameters", BASELINE, [row.deploy_params for row in rows]),
    ):
        total = sum(counts) or 1
        figure.add_bar(
            x=paths,
            y=[count / total for count in counts],
            name=f"share of {name}",
            marker={"color": colour},
            customdata=[[kind, count] for kind, count in zip(kinds, counts, strict=True)],
            hovertemplate=f"%{{x}}<br>%{{customdata[0]}}<br>%{{customdata[1]:,}} {name} (%{{y:.1%}})<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(title_text="share", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(type="category", tickangle=-60, tickfont={"size": 10})
    return figure


def training_curves(trainings: dict[str, list[Metric]], key: str, title: str, tickformat: str) -> go.Figure:
    """One quantity of every training against its progress; the first training is the chosen network's."""
    figure = blank_figure(height=340)
    for index, (name, metrics) in enumerate(trainings.items()):
        known = [metric for metric in metrics if getattr(metric, key) is not None]
        figure.add_scatter(
            x=[metric.progress for metric in known],
            y=[getattr(metric, key) for metric in known],
            mode="lines+markers",
            name=escape(name),
            line={"color": LINES[index % len(LINES)], "width": 2.8 if index == 0 else 1.5},
            marker={"size": 5 if index == 0 else 3.5},
            hovertemplate=f"{escape(name)}<br>%{{x:.0%}} of the training<br>{title} %{{y:.4~g}}<extra></extra>",
        )
    figure.update_xaxes(title_text="progress", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title_text=title, tickformat=tickformat)
    return figure


def confusion_map(evaluation: Evaluation) -> go.Figure:
    """True classes as rows, predictions as columns; colour is the share of the row, the number counts images."""
    names = [escape(name) for name in evaluation.classes]
    counts = evaluation.confusion
    few = len(names) <= _MANY_CLASSES
    figure = blank_figure(height=520 if few else 640)
    figure.add_heatmap(
        x=names,
        y=names,
        z=[[count / (sum(row) or 1) for count in row] for row in counts],
        customdata=counts,
        text=[[str(count) if count else "" for count in row] for row in counts],
        texttemplate="%{text}" if few else None,
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        hovertemplate="true %{y}<br>predicted %{x}<br>%{customdata} images, %{z:.1%} of the class<extra></extra>",
    )
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "showscale": False})
    figure.update_xaxes(title_text="predicted", type="category", showgrid=False)
    figure.update_yaxes(title_text="true", type="category", autorange="reversed", showgrid=False)
    return figure


def save_scatter_svg(run: Path, out: Path) -> None:
    """Write the accuracy-latency picture of a run folder as a static SVG.

    Raises:
        RunError: If the folder is not that of a finished run.
    """
    read = read_run(run)
    write_atomic(out, scatter_svg(collect(read), title=read.result.name))


def blank_figure(*, height: int) -> go.Figure:
    """An empty figure with what all figures share."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 58, "r": 14, "t": 30, "b": 56},
        legend={"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(zeroline=False, automargin=True, title={"standoff": 10})
    figure.update_yaxes(zeroline=False, automargin=True, title={"standoff": 10})
    return figure


def _scatter(
    figure: go.Figure,
    marks: Sequence[Mark],
    name: str,
    colour: str,
    *,
    symbol: str,
    size: int = 7,
    faint: bool = False,
    sides: Sequence[str] = (),
) -> None:
    if not marks:
        return
    labels = [escape(mark.name) for mark in marks]
    figure.add_scatter(
        x=[mark.ms for mark in marks],
        y=[mark.accuracy for mark in marks],
        mode="markers+text" if sides else "markers",
        text=labels,
        textposition=list(sides) or None,
        cliponaxis=False,
        name=name,
        marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.45 if faint else 1.0},
        hovertemplate=f"<b>%{{text}}</b><br>%{{x:.3~g}} ms, %{{y:.1%}}<br>{name}<extra></extra>",
    )


def _sides(marks: Marks) -> list[str]:
    """Label places of the measured marks, the chosen one first."""
    every = (*marks.measured, *marks.tabled)
    if not every:
        return []
    accuracies = [mark.accuracy for mark in every]
    width = max(marks.budget_ms, *(mark.ms for mark in every))
    return list(label_sides(marks.measured, width=width, height=max(accuracies) - min(accuracies)))
