"""One picture per search space: what `drawing` shows of a network, for all of a space's networks at once.

A bar is drawn for every width that a row may have, one inside the other, so an even tint is a fixed width and a
gradient a choice. A dashed frame is a row that may be left out, by a choice of its own or by its stage's depth.
"""

import math
from html import escape
from itertools import groupby

from ridgepoint.arch.space import Space
from ridgepoint.arch.vocabulary import look_of
from ridgepoint.report.ink import caption, style
from ridgepoint.report.space_rows import SpaceRow, SpaceStage, given_channels, space_stages, summary

WIDTH = 1120
_CENTRE, _HALF = 236, 118
_LABEL, _OPTIONS = 374, 600
_ROW, _GAP, _PAD, _TOP = 26, 6, 8, 100


def draw_space(space: Space) -> str:
    """The space as one SVG element, for a file of its own or inside a page; follows light and dark."""
    stages = space_stages(space)
    widest = max((width for stage in stages for row in stage.rows for width in row.widths), default=1)
    heads = [(24, "part"), (_LABEL, "block"), (_OPTIONS, "choices"), (_CENTRE - 56, "channels (√)")]
    parts = [caption(24, 36, space.name, "h"), caption(24, 58, summary(space), "m")]
    parts += [caption(x, _TOP - 14, text, "m s") for x, text in heads]
    y, widths = _TOP, given_channels(space)
    for stage in stages:
        band, y, widths = _stage(stage, y, widths, widest)
        parts += band
    looks = [look_of(kind) for stage in stages for row in stage.rows for kind in row.kinds]
    name, css = escape(space.name), style({look.kind: look.hue for look in looks})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rp-net" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" role="img" aria-label="{name}, stage by stage"><title>{name}</title>'
        f'<style>{css}</style><rect class="paper" width="{WIDTH}" height="{y}" rx="10"/>{"".join(parts)}</svg>'
    )


def _stage(stage: SpaceStage, y: int, widths: tuple[int, ...], widest: int) -> tuple[list[str], int, tuple[int, ...]]:
    """A band with the rows of a part, equal neighbours as one; the y below it, and the widths that leave it."""
    groups = [list(same) for _, same in groupby(enumerate(stage.rows), key=lambda each: _look(stage, *each))]
    height = len(groups) * _ROW + 2 * _PAD
    middle = y + height / 2
    parts = [f'<rect class="band" x="12" y="{y}" width="{WIDTH - 24}" height="{height}" rx="8"/>']
    parts.append(caption(24, middle + (-4 if stage.depths else 4), stage.name, "b"))
    if stage.depths:
        parts.append(caption(24, middle + 13, f"keeps {_listed(stage.depths)}", "m s n"))
    for number, group in enumerate(groups):
        index, row = group[0]
        widths = row.widths or widths
        parts += _bars(row, y + _PAD + number * _ROW, widths, widest, frame=_optional(stage, index))
        parts += _words(row, len(group), y + _PAD + number * _ROW + _ROW / 2 + 4.5)
    return parts, y + height + _GAP, widths


def _look(stage: SpaceStage, index: int, row: SpaceRow) -> tuple[object, ...]:
    return row.name, row.options, row.widths, row.strides, _optional(stage, index)


def _optional(stage: SpaceStage, index: int) -> bool:
    return stage.rows[index].optional or (bool(stage.depths) and index >= stage.depths[0])


def _bars(row: SpaceRow, y: float, widths: tuple[int, ...], widest: int, *, frame: bool) -> list[str]:
    """A bar for every width, the widest first; blocks of several kinds share its height."""
    if not widths:
        return []
    parts = []
    kinds = [look_of(kind).kind for kind in row.kinds]
    height = (_ROW - 8) / len(kinds)
    for width in sorted(widths, reverse=True):
        length = 2 * _HALF * math.sqrt(width / widest)
        tint = "" if width == min(widths) else " pale"
        parts += [
            f'<rect class="k-{kind}{tint}" x="{_CENTRE - length / 2:.1f}" y="{y + 4 + at * height:.1f}" '
            f'width="{length:.1f}" height="{height:.1f}" rx="2"/>'
            for at, kind in enumerate(kinds)
        ]
    if frame:
        length = 2 * _HALF * math.sqrt(max(widths) / widest) + 6
        parts.append(
            f'<rect class="res" stroke-dasharray="3 3" x="{_CENTRE - length / 2:.1f}" y="{y + 1.5:.1f}" '
            f'width="{length:.1f}" height="{_ROW - 3}" rx="4"/>'
        )
    return parts


def _words(row: SpaceRow, repeat: int, y: float) -> list[str]:
    times = f"{repeat} × " if repeat > 1 else ""
    stride = " ↓" if row.strides else ""
    widths = f"channels {_listed(row.widths)}" if len(row.widths) > 1 else ""
    options = " · ".join(filter(None, (row.options, widths)))
    return [caption(_LABEL, y, f"{times}{row.name}{stride}", "b"), caption(_OPTIONS, y, options, "m s n")]


def _listed(numbers: tuple[int, ...]) -> str:
    """All of a few numbers, of many the ends."""
    return "|".join(map(str, numbers)) if len(numbers) <= 5 else f"{numbers[0]} to {numbers[-1]}"
