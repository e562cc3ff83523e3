"""One `report.html` per run: everything inside, nothing fetched."""

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup

from ridgepoint.arch.words import in_words
from ridgepoint.cost.count import CONVENTION
from ridgepoint.files import write_atomic
from ridgepoint.report import figures
from ridgepoint.report.blocks import block_rows
from ridgepoint.report.compared import compared
from ridgepoint.report.drawing import draw
from ridgepoint.report.gains import gains, waterfall
from ridgepoint.report.int8 import read_verdicts
from ridgepoint.report.parts.part import Part
from ridgepoint.report.path import lineage, path_figure
from ridgepoint.report.points import collect
from ridgepoint.report.policy import policy_map
from ridgepoint.report.result import Run, read_run
from ridgepoint.report.scatter import NARROW, WIDE, scatter_svg
from ridgepoint.report.snippets import snippets
from ridgepoint.report.template import kilobytes, template
from ridgepoint.report.training import training_page
from ridgepoint.report.tried import best_over_time, front_over_time, trained
from ridgepoint.report.verdict import verdict
from ridgepoint.run.result import FitResult, Phase
from ridgepoint.train.folder import ABOUT
from ridgepoint.units import format_count, format_duration, format_ms

REPORT = "report.html"
REST = "start, and between these"


def build_report(run: Path) -> Path:
    """Write `report.html` into a finished run's folder, a training's or a fit's, and return its path.

    Raises:
        RunError: If the folder is missing, or is not that of a finished run.
        WriteError: If the disk is full or the folder cannot be written.
    """
    path = run / REPORT
    write_atomic(path, training_page(run) if (run / ABOUT).is_file() else fit_page(read_run(run)))
    return path


def fit_page(run: Run) -> str:
    """The page of a fit or a search as HTML."""
    marks, rows, result = collect(run), block_rows(run.network), run.result
    section, table = run.part.section(run.folder, result, run.evaluation), compared(run)
    drawn = _figures(run) | section.figures | {"blocks": figures.block_shares(rows)}
    return _template(run.part).render(
        run=run,
        result=result,
        verdict=verdict(run),
        compared=table,
        balanced=any(row.accuracy.balanced is not None for row in table),
        part=run.part,
        section=section,
        marks=marks,
        scatter=[
            Markup(scatter_svg(marks, title=result.name, metric=result.metric, size=size)) for size in (WIDE, NARROW)
        ],
        snippets=snippets(result.data.preprocessing, file=Path(result.artefact).name) if run.part.apps else [],
        looked_at=[candidate for candidate in run.candidates if candidate.phase == "search"],
        tried=trained(run.candidates),
        lineage=lineage(run.candidates, result.network.name),
        gains=gains(result.stages),
        phases=_phases(result),
        exported=read_verdicts(run.folder),
        rows=rows,
        drawing=Markup(draw(run.network)),
        figures={name: _figure_json(figure) for name, figure in drawn.items()},
        convention=CONVENTION,
    )


def _figures(run: Run) -> dict[str, go.Figure]:
    """The figures for which there is data; the template says what is missing for the others."""
    drawn: dict[str, go.Figure] = {}
    for key, title, tickformat in (
        ("val_accuracy", f"validation {run.result.metric}", ".0%"),
        ("loss", "training loss", "~g"),
    ):
        known = {
            name: rows for name, rows in run.trainings.items() if any(getattr(row, key) is not None for row in rows)
        }
        if known:
            drawn[key] = figures.training_curves(known, key, title, tickformat)
    if tried := trained(run.candidates):
        drawn["best"] = best_over_time(tried, run.result.budget_ms, run.result.metric)
        drawn["fronts"] = front_over_time(tried, run.result.budget_ms, run.result.metric)
    if line := lineage(run.candidates, run.result.network.name):
        drawn["path"] = path_figure(run.candidates, line, run.result.budget_ms)
    if steps := gains(run.result.stages):
        drawn["gains"] = waterfall(steps, run.result.metric)
    for name, history in run.beliefs.items():
        drawn[f"policy-{name}"] = policy_map(history)
    return drawn


def _figure_json(figure: go.Figure) -> Markup:
    """JSON that cannot end the script element it stands in: plotly writes no bare `<`."""
    return Markup(figure.to_json())


def _phases(result: FitResult) -> list[Phase]:
    """The phases and what the whole time has besides, which together are the whole."""
    rest = (result.wall_s or 0.0) - sum(phase.seconds for phase in result.phases)
    return [*result.phases, Phase(name=REST, seconds=rest)] if result.phases and rest >= 0.5 else result.phases


@functools.cache
def _template(part: Part) -> jinja2.Template:
    """The page's, compiled once: a fit shows several results."""
    filters: dict[str, Callable[..., Any]] = {
        "ms": _or_unknown(format_ms),
        "count": _or_unknown(format_count),
        "duration": _or_unknown(format_duration),
        "percent": _or_unknown(lambda share: f"{100 * share:.1f} %"),
        "kilobytes": _or_unknown(kilobytes),
        "space_size": _or_unknown(_space_size),
        "known": _or_unknown(str),
        "plain": lambda value: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        "interval": functools.partial(_interval_text, part),
        "words": in_words,
        "times": lambda epochs: f"{epochs:.2g}" if epochs < 100 else f"{epochs:.0f}",
    }
    return template("report.html.jinja", **filters)


def _or_unknown(show: Callable[[Any], str]) -> Callable[[Any], str]:
    """What was not measured is said to be unknown, never shown as zero."""
    return lambda value: "not known" if value is None or value == "" else show(value)


def _space_size(size: float) -> str:
    """A space's size: exact while people can read it, then its order of magnitude."""
    if size < 1e6:
        return f"{size:,.0f}"
    return "about 10" + str(round(math.log10(size))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _interval_text(part: Part, share: float | None, count: int | None) -> str:
    """The interval of a score in words; empty where the task knows none."""
    if share is None or not count:
        return "not known"
    known = part.interval(share, count)
    return "" if known is None else f"{100 * known[0]:.1f} to {100 * known[1]:.1f} %"
