"""What a one-shot search learnt beside its weights: the probabilities of every choice's options over its steps."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ridgepoint.report.figures import blank_figure, label
from ridgepoint.report.result import Belief

ROW_PX, MARGINS_PX = 20, 110


def policy_map(history: Sequence[Belief]) -> go.Figure:
    """A row for every choice: how probable the option that is most probable at the end was over the steps."""
    names = list(history[-1].probabilities)
    figure = blank_figure(height=MARGINS_PX + ROW_PX * len(names))
    final = [history[-1].probabilities[name] for name in names]
    best = [shares.index(max(shares)) for shares in final]
    figure.add_heatmap(
        x=[belief.step for belief in history],
        y=[label(name) for name in names],
        z=[[each.probabilities[name][option] for each in history] for name, option in zip(names, best, strict=True)],
        customdata=[[_told(each.probabilities[name]) for each in history] for name in names],
        coloraxis="coloraxis",
        ygap=1,
        hovertemplate="%{y}, step %{x}<br>%{customdata}<extra></extra>",
    )
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "showscale": False})
    figure.update_xaxes(title_text="step", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, tickfont={"size": 11})
    return figure


def _told(shares: Sequence[float]) -> str:
    return "<br>".join(f"option {number}: {share:.0%}" for number, share in enumerate(shares, 1))
