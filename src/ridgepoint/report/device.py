"""The card of a device as a page: how far its profile is off, family by family, and which networks suit it.

Everything is inside the page and nothing is fetched.
"""

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.cost.card import Card, Expected
from ridgepoint.report.figures import BASELINE, CHOSEN, TABLED, blank_figure, label
from ridgepoint.report.template import template

_ROW, _FRAME = 30, 110  # pixels a family, and above and below


def device_page(card: Card) -> str:
    """The page as HTML."""
    figures = {"front": _front(card)}
    if card.residuals:
        figures |= {"residuals": _residuals(card), "predicted": _predicted(card)}
    return template("device.html.jinja", percent=_percent, signed=_signed, rate=_rate).render(
        card=card,
        device=card.device,
        figures={name: Markup(figure.to_json()) for name, figure in figures.items()},
    )


def _residuals(card: Card) -> go.Figure:
    """The error of every network in the row of its family, over the interval."""
    families = [each.family for each in card.families]
    figure = blank_figure(height=_FRAME + _ROW * len(families))
    for name, wanted, colour in (("inside the interval", True, BASELINE), ("outside", False, CHOSEN)):
        rows = [each for each in card.residuals if each.covered == wanted]
        figure.add_scatter(
            x=[each.error for each in rows],
            y=[label(each.family) for each in rows],
            customdata=[[label(each.network), each.size, each.measured_ms, each.left_out_ms] for each in rows],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 9, "opacity": 0.8},
            hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]} px<br>%{customdata[2]:.3~g} ms measured, "
            "%{customdata[3]:.3~g} ms predicted: %{x:+.0%}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": TABLED, "width": 1.5})
    figure.update_xaxes(title_text="prediction against measurement", tickformat="+.0%")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[label(each) for each in reversed(families)]
    )
    return figure


def _predicted(card: Card) -> go.Figure:
    """Measured against predicted latency, with the line of equal ones and the interval."""
    figure = blank_figure(height=420)
    ms = np.array([[each.left_out_ms, each.measured_ms] for each in card.residuals])
    ends = np.array([ms.min() * 0.9, ms.max() * 1.1])
    if card.device.interval is not None:
        low, high = card.device.interval
        figure.add_scatter(
            x=[*ends, *ends[::-1]],
            y=[*(ends * low), *(ends[::-1] * high)],
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor="rgba(47,120,214,.16)",
            name="nine of ten",
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": TABLED, "width": 1.5}, name="equal", hoverinfo="skip"
    )
    figure.add_scatter(
        x=ms[:, 0],
        y=ms[:, 1],
        text=[label(each.network) for each in card.residuals],
        mode="markers",
        name="networks, their family left out",
        marker={"color": BASELINE, "size": 8},
        hovertemplate="<b>%{text}</b><br>%{x:.3~g} ms predicted, %{y:.3~g} ms measured<extra></extra>",
    )
    figure.update_xaxes(title_text="predicted, ms", type="log", dtick="D2")
    figure.update_yaxes(title_text="measured, ms", type="log", dtick="D2")
    return figure


def _front(card: Card) -> go.Figure:
    """Published accuracy against predicted latency of the zoo, and the front."""
    figure = blank_figure(height=460)
    for name, rows, colour, size in (
        ("the zoo", [each for each in card.zoo if not each.on_front], TABLED, 7),
        ("on the front", card.front, CHOSEN, 9),
    ):
        figure.add_scatter(
            x=[each.ms for each in rows],
            y=[each.top1 for each in rows],
            text=[_told(each) for each in rows],
            mode="markers" if colour == TABLED else "lines+markers",
            name=name,
            marker={"color": colour, "size": size, "opacity": 0.55 if colour == TABLED else 1},
            line={"color": CHOSEN, "width": 1.6, "shape": "hv"},
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(title_text="predicted latency of one image, ms", type="log", dtick="D2")
    figure.update_yaxes(title_text="published ImageNet top-1, %")
    return figure


def _told(each: Expected) -> str:
    between = "" if each.low_ms is None else f" ({each.low_ms:.3g} to {each.high_ms:.3g})"
    return f"<b>{label(each.name)}</b>, {each.size} px<br>{each.ms:.3g} ms{between}, {each.top1:.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.0f} %"


def _rate(per_s: float) -> str:
    return f"{per_s / 1e12:.3g} TMAC/s" if per_s >= 1e12 else f"{per_s / 1e9:.3g} GMAC/s"
