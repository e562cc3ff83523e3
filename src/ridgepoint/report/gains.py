"""Where a fit's accuracy comes from: what each finished network added to the best one before it."""

from collections.abc import Sequence

import msgspec
import plotly.graph_objects as go

from ridgepoint.report.figures import BASELINE, CHOSEN, TABLED, blank_figure, label
from ridgepoint.run.result import Stage


class Gain(msgspec.Struct, frozen=True):
    """A network that was finished on the way, and the best validation score before it; both were measured."""

    stage: Stage
    before: float
    after: float

    @property
    def points(self) -> float:
        """What it is better by, in percent of the images; below 0 if it is worse."""
        return 100 * (self.after - self.before)


def gains(stages: Sequence[Stage]) -> list[Gain]:
    """In their order; the first one's gain is all that it reached."""
    found: list[Gain] = []
    best = 0.0
    for stage in stages:
        if stage.val_accuracy is not None:
            found.append(Gain(stage, best, stage.val_accuracy))
            best = max(best, stage.val_accuracy)
    return found


def waterfall(steps: Sequence[Gain], metric: str) -> go.Figure:
    """One bar a step, from the best before to what it reached; what was no gain is grey."""
    figure = blank_figure(height=320)
    figure.add_bar(
        x=[label(step.stage.name) for step in steps],
        y=[step.after - step.before for step in steps],
        base=[step.before for step in steps],
        text=[f"{step.points:+.1f}" if place else f"{100 * step.after:.1f} %" for place, step in enumerate(steps)],
        textposition="outside",
        cliponaxis=False,
        marker={
            "color": [
                BASELINE if not place else CHOSEN if step.points > 0 else TABLED for place, step in enumerate(steps)
            ]
        },
        hovertemplate="%{x}<br>%{base:.1%} before<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(title_text=f"validation {metric}", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(type="category")
    return figure
