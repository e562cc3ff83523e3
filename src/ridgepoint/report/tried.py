"""What a search tried: how the front grew, and how the best one did."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ridgepoint.report.figures import BASELINE, BUDGET, CHOSEN, TABLED, blank_figure, label
from ridgepoint.report.points import Mark, pareto
from ridgepoint.search.candidate import Candidate

PARTS = 4


def trained(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that the search trained, in order; copies of networks met again are left out."""
    return [each for each in candidates if each.phase == "search" and None not in (each.train_s, each.estimated_ms)]


def fronts(candidates: Sequence[Candidate]) -> dict[int, list[Mark]]:
    """The front of estimated latency and short accuracy after each quarter of the trained candidates."""
    found = {}
    for part in range(1, PARTS + 1):
        count = round(part * len(candidates) / PARTS)
        if count:
            found[count] = pareto([_mark(candidate) for candidate in candidates[:count]])
    return found


def best_so_far(candidates: Sequence[Candidate], budget_ms: float) -> list[float | None]:
    """After each trained candidate, the best short accuracy within the budget; None as long as there is none."""
    best: float | None = None
    found = []
    for candidate in candidates:
        if candidate.ms <= budget_ms and candidate.score > (best or 0.0):
            best = candidate.short_accuracy
        found.append(best)
    return found


def best_over_time(candidates: Sequence[Candidate], budget_ms: float, metric: str) -> go.Figure:
    """Short accuracy of every trained candidate in its order, and the best within the budget so far."""
    figure = blank_figure(height=340)
    within = [candidate.ms <= budget_ms for candidate in candidates]
    for name, wanted, colour in (("within the budget", True, BASELINE), ("a step over the budget", False, TABLED)):
        kept = [(place, each) for place, each in enumerate(candidates, 1) if within[place - 1] == wanted]
        if kept:
            figure.add_scatter(
                x=[place for place, _ in kept],
                y=[each.short_accuracy for _, each in kept],
                mode="markers",
                text=[label(each.name) for _, each in kept],
                name=name,
                marker={"color": colour, "size": 6, "opacity": 0.6},
                hovertemplate=f"<b>%{{text}}</b><br>%{{y:.1%}}, {name}<extra></extra>",
            )
    figure.add_scatter(
        x=list(range(1, len(candidates) + 1)),
        y=best_so_far(candidates, budget_ms),
        mode="lines",
        name="best within the budget so far",
        line={"color": CHOSEN, "width": 2.5, "shape": "hv"},
    )
    figure.update_xaxes(title_text="candidates trained")
    figure.update_yaxes(title_text=f"short {metric}", tickformat=".0%")
    return figure


def front_over_time(candidates: Sequence[Candidate], budget_ms: float, metric: str) -> go.Figure:
    """The front of short accuracy against estimated latency after each quarter of the search."""
    figure = blank_figure(height=340)
    grown = fronts(candidates)
    figure.add_scatter(
        x=[each.estimated_ms for each in candidates],
        y=[each.short_accuracy for each in candidates],
        mode="markers",
        text=[label(each.name) for each in candidates],
        name="candidates",
        marker={"color": TABLED, "size": 6, "opacity": 0.45},
        hovertemplate="<b>%{text}</b><br>%{x:.3~g} ms, %{y:.1%} after a short training<extra></extra>",
    )
    for place, (count, marks) in enumerate(grown.items(), 1):
        figure.add_scatter(
            x=[mark.ms for mark in marks],
            y=[mark.accuracy for mark in marks],
            mode="lines+markers",
            text=[label(mark.name) for mark in marks],
            name=f"after {count}",
            line={"color": CHOSEN if place == len(grown) else BASELINE, "width": 0.8 + 0.5 * place, "shape": "hv"},
            opacity=0.25 + 0.75 * place / len(grown),
            marker={"size": 5},
            hovertemplate=f"<b>%{{text}}</b><br>%{{x:.3~g}} ms, %{{y:.1%}}<br>after {count} candidates<extra></extra>",
        )
    figure.add_vline(x=budget_ms, line={"color": BUDGET, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(title_text="estimated latency of one image, ms", rangemode="tozero")
    figure.update_yaxes(title_text=f"short {metric}", tickformat=".0%")
    return figure


def _mark(candidate: Candidate) -> Mark:
    return Mark(candidate.name, candidate.ms, candidate.score)
