"""The page of a probe: every finding with its plot, its sentence and its verdict.

Everything is inside the page and nothing is fetched.
"""

import math
import textwrap
from typing import get_args

import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.probe.finding import Verdict
from ridgepoint.probe.result import FindingResult, ProbeResult, StudyResult
from ridgepoint.report.figures import BASELINE, CHOSEN, LINES, blank_figure, label
from ridgepoint.report.template import template
from ridgepoint.units import format_count

_CLASSES = {"holds": "good", "does not hold": "bad"}
_MARKS = ("diamond", "square", "triangle-up")
_ROW, _LEGEND_ROW, _FRAME = 50, 22, 110  # pixels a row, and above and below
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3, 5, 7, 10, 20, 50)
_FINE_TICKS = (0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2)  # while they have room


def probe_page(found: ProbeResult) -> str:
    """The page as HTML."""
    verdicts = [finding.verdict for study in found.studies for finding in study.findings]
    return template("probe.html.jinja", pill=lambda verdict: _CLASSES.get(verdict, "open")).render(
        found=found,
        tally={verdict: verdicts.count(verdict) for verdict in get_args(Verdict) if verdict in verdicts},
        figures={
            f"{study.name}-{kind}": Markup(figure.to_json())
            for study in found.studies
            for kind, figure in (("times", _times(study)), ("ratios", _ratios(study)))
        },
    )


def _times(study: StudyResult) -> go.Figure:
    """What every variant takes; for blocks at several widths, MACs against time."""
    if any(finding.quantity == "MACs in the same time" for finding in study.findings):
        return _curves(study)
    figure = blank_figure(height=_FRAME + _ROW * len(study.variants))
    figure.add_bar(
        y=[_label(variant.name) for variant in study.variants],
        x=[variant.ms for variant in study.variants],
        orientation="h",
        marker={"color": BASELINE},
        error_x={
            "array": [variant.high_ms - variant.ms for variant in study.variants],
            "arrayminus": [variant.ms - variant.low_ms for variant in study.variants],
            "color": CHOSEN,
            "thickness": 1.5,
        },
        customdata=[[variant.low_ms, variant.high_ms, format_count(variant.macs)] for variant in study.variants],
        hovertemplate="%{y}<br>%{x:.3~g} ms (%{customdata[0]:.3~g} to %{customdata[1]:.3~g})<br>"
        "%{customdata[2]} MACs<extra></extra>",
    )
    figure.update_layout(bargap=0.4)
    figure.update_xaxes(title_text="latency, ms", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _curves(study: StudyResult) -> go.Figure:
    figure = blank_figure(height=420)
    variants = {variant.name: variant for variant in study.variants}
    for colour, (name, members) in zip(LINES, study.groups.items(), strict=False):
        figure.add_scatter(
            x=[variants[member].ms for member in members],
            y=[variants[member].macs for member in members],
            mode="lines+markers",
            name=label(name),
            line={"color": colour},
            text=[label(member) for member in members],
            hovertemplate="%{text}<br>%{x:.3~g} ms, %{y:.3~s} MACs<extra></extra>",
        )
    figure.update_xaxes(title_text="latency, ms", type="log", dtick="D2")
    figure.update_yaxes(title_text="MACs", type="log", dtick="D2", tickformat="~s")
    return figure


def _ratios(study: StudyResult) -> go.Figure:
    """The measured ratio of every finding with its spread, the papers' ratios, and where the claim holds."""
    known = [(finding, each) for finding in study.findings for each in finding.published]
    devices = dict.fromkeys(each.device for _, each in known)
    figure = blank_figure(height=_FRAME + _LEGEND_ROW * (1 + len(devices)) + _ROW * len(study.findings))
    rows = [_pair(finding) for finding in study.findings]
    for row, finding in enumerate(study.findings):
        figure.add_shape(
            type="rect",
            xref="x",
            x0=finding.at_least or 0.01,
            x1=finding.at_most or 100,
            y0=row - 0.36,
            y1=row + 0.36,
            fillcolor="#1f9d76",
            opacity=0.13,
            line_width=0,
            layer="below",
        )
    figure.add_scatter(
        x=[finding.ratio for finding in study.findings],
        y=rows,
        mode="markers",
        name="here, with 95 % interval",
        marker={"color": CHOSEN, "size": 11},
        error_x={
            "array": [finding.high - finding.ratio for finding in study.findings],
            "arrayminus": [finding.ratio - finding.low for finding in study.findings],
            "color": CHOSEN,
            "thickness": 2,
        },
        customdata=[[finding.low, finding.high, finding.verdict] for finding in study.findings],
        hovertemplate="%{y}: %{x:.2f} (%{customdata[0]:.2f} to %{customdata[1]:.2f})<br>%{customdata[2]}"
        "<extra></extra>",
    )
    for mark, device in enumerate(devices):
        mine = [(finding, each) for finding, each in known if each.device == device]
        figure.add_scatter(
            x=[each.ratio for _, each in mine],
            y=[_pair(finding) for finding, _ in mine],
            mode="markers",
            name=label(f"paper: {device}"),
            marker={"color": BASELINE, "size": 10, "symbol": _MARKS[mark % len(_MARKS)]},
            hovertemplate=f"%{{y}}: %{{x:.2f}}<br>{label(device)}<extra></extra>",
        )
    values = [each.ratio for _, each in known] + [x for one in study.findings for x in (one.low, one.high)]
    low, high = min(0.85, *values) / 1.05, max(1.2, *values) * 1.05
    ticks: tuple[float, ...] = _FINE_TICKS
    if high / low > 2.2:
        low, ticks = min(low, 0.68), _TICKS
    figure.add_vline(x=1, line={"color": "#8792a2", "width": 1.5, "dash": "dot"})
    figure.update_layout(legend={"orientation": "v", "y": 1.02})
    figure.update_xaxes(
        title_text="ratio; shaded: where the claim holds",
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=rows, range=[len(rows) - 0.5, -0.5], showgrid=False
    )
    return figure


def _label(name: str) -> str:
    """A name on lines that leave room for the plot."""
    return "<br>".join(label(line) for line in textwrap.wrap(name, 32))


def _pair(finding: FindingResult) -> str:
    """Both sides of a ratio, and what it is of where it is not time; no two findings of a study share it."""
    quantity = "" if finding.quantity == "time" else f" ({finding.quantity})"
    return _label(f"{finding.over} / {finding.under}{quantity}")
