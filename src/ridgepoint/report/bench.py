"""The page of a bench: times, what the rounds looked like, who differs from whom, and where the time goes.

Everything is inside the page and nothing is fetched.
"""

import textwrap

import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.deploy.bench import BenchResult, BenchRow
from ridgepoint.report.figures import BASELINE, CHOSEN, LINES, TABLED, blank_figure, label
from ridgepoint.report.template import template

_ROW, _FRAME = 44, 110  # pixels a row, and above and below
_DASHES = ("solid", "dot", "dash")
_OPERATORS = 5  # in colours of their own; the rest is one bar


def bench_page(found: BenchResult) -> str:
    """The page as HTML."""
    figures = {"times": _times(found), "rounds": _rounds(found)}
    if any(row.operators for row in found.rows):
        figures["operators"] = _operators(found)
    return template("bench.html.jinja", megabytes=_megabytes, percent=_percent, p_value=_p_value).render(
        found=found,
        device=found.rows[0].latency.device,
        figures={name: Markup(figure.to_json()) for name, figure in figures.items()},
    )


def _times(found: BenchResult) -> go.Figure:
    """Undisturbed, median and 90th percentile of every row."""
    figure = blank_figure(height=_FRAME + _ROW * len(found.rows))
    labels = [_label(row) for row in found.rows]
    figure.add_bar(
        y=labels,
        x=[row.latency.ms for row in found.rows],
        orientation="h",
        marker={"color": BASELINE},
        name="undisturbed",
        hovertemplate="%{y}<br>%{x:.3~g} ms undisturbed<extra></extra>",
    )
    for name, symbol, values in (
        ("median", "line-ns", [row.latency.median_ms for row in found.rows]),
        ("90th percentile", "diamond", [row.latency.p90_ms for row in found.rows]),
    ):
        figure.add_scatter(
            y=labels,
            x=values,
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": CHOSEN, "size": 9, "line": {"color": CHOSEN, "width": 2}},
            hovertemplate=f"%{{y}}<br>%{{x:.3~g}} ms {name}<extra></extra>",
        )
    figure.update_layout(bargap=0.45)
    figure.update_xaxes(title_text="latency, ms", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _rounds(found: BenchResult) -> go.Figure:
    """Every round's median over the row's own median: what moves all lines is the machine."""
    figure = blank_figure(height=380)
    for index, row in enumerate(found.rows):
        middle = sorted(row.rounds_ms)[len(row.rounds_ms) // 2]
        figure.add_scatter(
            x=list(range(1, len(row.rounds_ms) + 1)),
            y=[ms / middle for ms in row.rounds_ms],
            customdata=row.rounds_ms,
            mode="lines",
            name=label(row.name),
            line={
                "color": LINES[index % len(LINES)],
                "dash": _DASHES[index // len(LINES) % len(_DASHES)],
                "width": 1.6,
            },
            hovertemplate=f"{label(row.name)}<br>round %{{x}}: %{{customdata:.3~g}} ms<extra></extra>",
        )
    figure.update_layout(legend={"y": -0.25, "yanchor": "top"}, showlegend=True)
    figure.update_xaxes(title_text="round")
    figure.update_yaxes(title_text="time over the median round")
    return figure


def _operators(found: BenchResult) -> go.Figure:
    """Each row's profile as one bar of shares, the operators that take most anywhere in colours of their own."""
    rows = [row for row in found.rows if row.operators]
    totals: dict[str, float] = {}
    for row in rows:
        for operator, (share, _) in _shares(row).items():
            totals[operator] = totals.get(operator, 0.0) + share
    named = sorted(totals, key=lambda operator: -totals[operator])[:_OPERATORS]
    figure = blank_figure(height=_FRAME + _ROW * len(rows))
    for operator, colour in [*zip(named, LINES, strict=False), ("the rest", TABLED)]:
        cells = [_cell(_shares(row), operator, named) for row in rows]
        figure.add_bar(
            y=[_label(row) for row in rows],
            x=[share for share, _ in cells],
            customdata=[ms for _, ms in cells],
            orientation="h",
            name=label(operator),
            marker={"color": colour},
            hovertemplate=f"%{{y}}<br>{label(operator)}: %{{x:.1%}}, %{{customdata:.3~g}} ms<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.45, legend={"traceorder": "normal"})
    figure.update_xaxes(title_text="share of the operators' time", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _shares(row: BenchRow) -> dict[str, tuple[float, float]]:
    """Share and milliseconds by operator."""
    operators = row.operators or ()
    total = sum(each.ms for each in operators) or 1.0
    return {each.operator: (each.ms / total, each.ms) for each in operators}


def _cell(shares: dict[str, tuple[float, float]], operator: str, named: list[str]) -> tuple[float, float]:
    """One operator's share and milliseconds, or those of all that have no name."""
    if operator in named:
        return shares.get(operator, (0.0, 0.0))
    rest = [both for name, both in shares.items() if name not in named]
    return sum(share for share, _ in rest), sum(ms for _, ms in rest)


def _label(row: BenchRow) -> str:
    return "<br>".join(textwrap.wrap(label(row.name), 26))


def _megabytes(size: int | None) -> str:
    return "not known" if size is None else f"{size / 1e6:.1f} MB"


def _percent(share: float) -> str:
    return f"{100 * share:+.0f} %"


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
