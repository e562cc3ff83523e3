"""How a search came to the chosen network: NetAdapt's steps, slimming's actions, an evolution's mutations."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ridgepoint.report.figures import BUDGET, CHOSEN, LINES, TABLED, blank_figure, label
from ridgepoint.search.candidate import Candidate


def lineage(candidates: Sequence[Candidate], name: str) -> list[Candidate]:
    """A candidate's ancestors, the first one first, and itself; empty where it is unknown or has no parent."""
    known = {candidate.name: candidate for candidate in candidates if candidate.phase == "search"}
    if name not in known:
        name = next((each.parent for each in candidates if each.name == name and each.parent), "")
    line: list[Candidate] = []
    while name in known:
        line.insert(0, known.pop(name))
        name = line[0].parent or ""
    return line if len(line) > 1 else []


def kind(candidate: Candidate) -> str:
    """What was changed, from the note: `depth`, `width`, `expansion`; `change` where it does not say."""
    if candidate.parent is None:
        return "start"
    said, colon, _ = candidate.note.partition(":")
    return said.partition(" of ")[0] if colon else candidate.note or "change"


def path_figure(candidates: Sequence[Candidate], line: Sequence[Candidate], budget_ms: float) -> go.Figure:
    """Estimated latency after every step of a lineage, by what was changed; what was proposed instead is faint."""
    figure = blank_figure(height=340)
    steps = {each.name: place for place, each in enumerate(line)}
    others = [
        each
        for each in candidates
        if each.phase == "search"
        and each.parent in steps
        and each.name not in steps
        and steps[each.parent] + 1 < len(line)
    ]
    _marks(figure, others, [steps[each.parent or ""] + 1 for each in others], "proposed instead", TABLED, size=5)
    figure.add_scatter(
        x=list(range(len(line))),
        y=[each.estimated_ms for each in line],
        mode="lines",
        line={"color": CHOSEN, "width": 1.5, "shape": "hv"},
        showlegend=False,
        hoverinfo="skip",
    )
    for number, name in enumerate(dict.fromkeys(map(kind, line))):
        kept = [each for each in line if kind(each) == name]
        _marks(figure, kept, [steps[each.name] for each in kept], name, LINES[number % len(LINES)], size=9)
    figure.add_hline(y=budget_ms, line={"color": BUDGET, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(title_text="step", dtick=1 if len(line) < 20 else None)
    figure.update_yaxes(title_text="estimated latency of one image, ms", rangemode="tozero")
    return figure


def _marks(
    figure: go.Figure, candidates: Sequence[Candidate], places: Sequence[int], name: str, colour: str, *, size: int
) -> None:
    if not candidates:
        return
    figure.add_scatter(
        x=list(places),
        y=[each.estimated_ms for each in candidates],
        mode="markers",
        text=[_told(each) for each in candidates],
        name=label(name),
        marker={"color": colour, "size": size, "opacity": 0.5 if colour == TABLED else 1.0},
        hovertemplate="%{text}<br>%{y:.3~g} ms<extra></extra>",
    )


def _told(candidate: Candidate) -> str:
    """Name, note and, where it was trained, accuracy; the note in lines that fit a hover label."""
    note = label(candidate.note).replace(", ", ",<br>").replace("; ", ";<br>")
    accuracy = "" if candidate.short_accuracy is None else f"<br>short accuracy {candidate.short_accuracy:.1%}"
    return f"<b>{label(candidate.name)}</b><br>{note}{accuracy}"
