"""One picture per network: a column of bars, stage by stage, as an SVG that needs nothing else.

A bar's length grows with the square root of its channels (pale: the expanded width inside the block), its colour tells
the kind of block, a slab per repeated block shows depth, an arc on the left is a residual connection. The square of
each stage is its resolution to scale. MACs are those of the form that ships.
"""

import math
from html import escape

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.report.blocks import BlockGroup, BlockRow, block_rows, stages
from ridgepoint.report.ink import caption, style
from ridgepoint.units import format_count

WIDTH = 1040
_CENTRE, _HALF = 292, 138
_LABEL, _CHANNELS, _MACS, _MACS_LENGTH, _MACS_TEXT = 450, 672, 858, 56, 972
_ROW, _SLAB, _BAND, _GAP, _PAD = 26, 11, 52, 6, 8
_SQUARE = 38


class _Scale(msgspec.Struct, frozen=True, kw_only=True):
    """What full lengths stand for: the most channels, pixels and MACs of a group; and all MACs, for shares."""

    channels: int
    pixels: int
    macs: int
    group_macs: int


def draw(network: Network) -> str:
    """The network as one SVG element, for a file of its own or inside a page; follows light and dark."""
    rows = block_rows(network)
    total = sum(row.deploy_macs for row in rows)
    grouped = stages(rows)
    scale = _Scale(
        channels=max(width for row in rows for width in _drawn_widths(row)),
        pixels=max(max(row.output.height, row.output.width) for row in rows if not _is_boxes(row.stage, row.output)),
        macs=total,
        group_macs=max(group.row.deploy_macs * group.repeat for _, groups in grouped for group in groups),
    )
    y, parts = _header(network, rows, total)
    top = y
    for stage, groups in grouped:
        band, height = _stage(stage, groups, y, scale)
        parts.append(band)
        y += height + _GAP
    height = y + _PAD
    flow = f'<line class="flow" x1="{_CENTRE}" x2="{_CENTRE}" y1="{top - 4}" y2="{y - _GAP}"/>'
    name = escape(network.name)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rp-net" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{name}, stage by stage"><title>{name}</title>'
        f"<style>{style({row.kind: row.hue for row in rows})}</style>"
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="10"/>{flow}{"".join(parts)}</svg>'
    )


def _header(network: Network, rows: tuple[BlockRow, ...], total: int) -> tuple[int, list[str]]:
    """Title, totals, legend and column heads, and the y below them."""
    size = "×".join(map(str, network.input))
    params = sum(row.deploy_params for row in rows)
    facts = f"input {size} · {len(rows) - 1} blocks · {format_count(params)} parameters · {format_count(total)} MACs"
    legend, bottom = _legend({row.kind: row.words for row in rows}, 82)
    y = bottom + 34
    heads = [(24, "", "output"), (_LABEL, "", "block"), (_CHANNELS, "", "channels")]
    parts = [
        caption(24, 36, network.name, "h"),
        caption(24, 58, f"{facts} in the form that ships", "m"),
        legend,
        *(caption(x, y, text, f"m s {css}") for x, css, text in heads),
        f'<text class="m s" text-anchor="middle" x="{_CENTRE}" y="{y}">width (√channels; pale: expanded)</text>',
        caption(WIDTH - 20, y, "MACs and share", "m s e"),
    ]
    return y + 12, parts


def _legend(kinds: dict[str, str], y: int) -> tuple[str, int]:
    """A swatch and a name per kind, wrapped, and the baseline of its last line."""
    x, parts = 24.0, []
    for kind, words in kinds.items():
        needed = 38 + 6.6 * len(words)
        if x + needed > WIDTH - 20:
            x, y = 24.0, y + 20
        parts.append(f'<rect class="k-{kind}" x="{x:.0f}" y="{y - 10}" width="12" height="12" rx="3"/>')
        parts.append(caption(x + 18, y, words, "s"))
        x += needed
    return "".join(parts), y


def _stage(stage: str, groups: list[BlockGroup], y: int, scale: _Scale) -> tuple[str, int]:
    """A band with the stage's resolution and its groups, and the band's height."""
    heights = [max(_ROW, _SLAB * group.repeat + 6) for group in groups]
    height = max(_BAND, sum(heights) + 2 * _PAD)
    parts = [f'<rect class="band" x="12" y="{y}" width="{WIDTH - 24}" height="{height}" rx="8"/>']
    parts.append(f'<line class="flow" x1="{_CENTRE}" x2="{_CENTRE}" y1="{y}" y2="{y + height}"/>')
    parts.append(_resolution(stage, groups[-1].row.output, y, height, scale.pixels))
    inner = y + (height - sum(heights)) // 2
    for group, needed in zip(groups, heights, strict=True):
        parts.append(_group(group, inner, needed, scale))
        inner += needed
    return "".join(parts), height


def _is_boxes(stage: str, output: Shape) -> bool:
    """Whether a stage gives rows, one a box, which lie nowhere on a map."""
    return stage == "head" and output.layout == "tokens"


def _resolution(stage: str, output: Shape, y: int, height: int, pixels: int) -> str:
    middle = y + min(height, 2 * _BAND) / 2
    if output.layout == "vector":
        return caption(24, middle - 4, stage, "b") + caption(24, middle + 13, f"{output.channels} classes", "m s n")
    if _is_boxes(stage, output):
        return caption(24, middle - 4, stage, "b") + caption(24, middle + 13, f"{output.positions:,} boxes", "m s n")
    wide, tall = (max(3.0, _SQUARE * side / pixels) for side in (output.width, output.height))
    corner = f'x="{134 - wide / 2:.1f}" y="{middle - tall / 2:.1f}"'
    square = f'<rect class="res" {corner} width="{wide:.1f}" height="{tall:.1f}"/>'
    label = f"{output.height}×{output.width}" + (" tokens" if output.layout == "tokens" else "")
    return caption(24, middle - 4, stage, "b") + caption(24, middle + 13, label, "m s n") + square


def _group(group: BlockGroup, y: int, height: int, scale: _Scale) -> str:
    """The slabs of a group and its text."""
    row, repeat = group.row, group.repeat
    space = 2 if repeat > 1 else 0
    pitch = (height - 8 + space) / repeat
    inner, outer = (2 * _HALF * math.sqrt(width / scale.channels) for width in _drawn_widths(row))
    slabs = [_slab(row, y + 4 + index * pitch, pitch - space, inner, outer) for index in range(repeat)]
    middle = y + height / 2 + 4.5
    times = f'<tspan class="b">{repeat} × </tspan>' if repeat > 1 else ""
    stride = f" ↓{row.stride}" if row.stride > 1 else ""
    label = f'{times}<tspan class="b">{escape(row.name)}</tspan> <tspan class="m">{escape(row.detail)}{stride}</tspan>'
    macs = row.deploy_macs * repeat
    length = max(1.0, _MACS_LENGTH * macs / scale.group_macs)
    meter = f'<rect class="k-{row.kind}" x="{_MACS}" y="{middle - 9}" width="{length:.2f}" height="9" rx="2"/>'
    return (
        "".join(slabs)
        + f'<text x="{_LABEL}" y="{middle}">{label}</text>'
        + caption(_CHANNELS, middle, " → ".join(map(str, row.widths)), "n")
        + meter
        + caption(_MACS_TEXT, middle, format_count(macs), "s n e")
        + caption(WIDTH - 20, middle, f"{macs / scale.macs:.1%}", "s n m e")
    )


def _slab(row: BlockRow, y: float, height: float, inner: float, outer: float) -> str:
    parts = []
    if row.residual:
        x = _CENTRE - max(inner, outer) / 2 - 1
        parts.append(f'<path class="arc" d="M{x:.1f} {y:.1f}c-9 0 -9 {height:.1f} 0 {height:.1f}"/>')
    for css, width in (("paper", outer), (f"k-{row.kind} pale", outer), (f"k-{row.kind}", inner)):
        parts.append(
            f'<rect class="{css}" x="{_CENTRE - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="2.5"/>'
        )
    return "".join(parts)


def _drawn_widths(row: BlockRow) -> tuple[int, int]:
    """The channels out, and the widest that the block has inside (the output where it has none)."""
    return row.widths[-1], max(row.widths[1:])
