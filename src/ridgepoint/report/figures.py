"""The report's figures with plotly.

Colours that must follow light and dark (text, grid, paper, the heat map's scale) are left to the page.
"""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from ridgepoint.report.blocks import BlockRow
from ridgepoint.report.result import Metric

# Told apart by colour-blind eyes, and readable on white and on near-black.
CHOSEN, BASELINE, FINALIST, TABLED, BUDGET = "#d9480f", "#2f78d6", "#8a63d2", "#8792a2", "#d6336c"
LINES = (CHOSEN, "#2f78d6", "#1f9d76", "#8a63d2", "#b8860b", "#8792a2")


def block_shares(rows: Sequence[BlockRow]) -> go.Figure:
    """Each block's share of MACs and of parameters, in the form that ships."""
    figure = blank_figure(height=380)
    paths = [row.path for row in rows]
    kinds = [label(f"{row.name} {row.detail}") for row in rows]
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
            name=label(name),
            line={"color": LINES[index % len(LINES)], "width": 2.8 if index == 0 else 1.5},
            marker={"size": 5 if index == 0 else 3.5},
            hovertemplate=f"{label(name)}<br>%{{x:.0%}} of the training<br>{title} %{{y:.4~g}}<extra></extra>",
        )
    figure.update_xaxes(title_text="progress", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title_text=title, tickformat=tickformat)
    return figure


def label(text: str) -> str:
    """Text that plotly shows as it is: escaped, and with a word joiner in what could be taken for a tag.

    Plotly reads labels that it draws again from the page, where escapes have become what they stand for.
    """
    return escape(text.replace("<", "<\u2060"), quote=False)


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
