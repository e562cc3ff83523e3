"""The accuracy-latency picture as a static SVG: no script, no fonts, no library."""

import math
from collections.abc import Sequence
from html import escape

import msgspec

from ridgepoint.report.points import Mark, Marks, label_sides, pareto

_WIDTH, _HEIGHT = 860, 500
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 56, 112
_STYLE = (
    ".rp-scatter{--ink:#1d232b;--muted:#5c6673;--grid:#e2e6ec;--paper:#fff;--chosen:#d9480f;--base:#2f78d6;"
    "--final:#7a52c7;--tabled:#8792a2;--budget:#c2255c;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}"
    "@media (prefers-color-scheme:dark){.rp-scatter{--ink:#e8ecf1;--muted:#a0abb9;--grid:#2c333d;--paper:#15191f;"
    "--chosen:#ff8a4c;--base:#5b9cf2;--final:#a98bf0;--tabled:#8792a2;--budget:#f0709b}}"
    ".rp-scatter text{fill:var(--ink);font-size:13px}.rp-scatter .m{fill:var(--muted)}.rp-scatter .h{font-size:16px;"
    "font-weight:650}.rp-scatter .b{font-weight:650}"
    ".rp-scatter .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}"
    ".rp-scatter .paper{fill:var(--paper)}"
    ".rp-scatter .grid{stroke:var(--grid)}.rp-scatter .front{fill:none;stroke:var(--base);stroke-width:1.5;"
    "stroke-dasharray:2 4}.rp-scatter .budget{stroke:var(--budget);stroke-width:1.5;stroke-dasharray:6 4}"
    ".rp-scatter .tb{fill:var(--budget)}.rp-scatter .chosen{fill:var(--chosen)}.rp-scatter .base{fill:var(--base)}"
    ".rp-scatter .final{fill:var(--final)}"
    ".rp-scatter .tabled{fill:var(--tabled);opacity:.45}"
)
_ANCHOR = {"top center": "middle", "bottom center": "middle", "middle right": "start", "middle left": "end"}
_OFFSET = {"top center": (0, -13), "bottom center": (0, 22), "middle right": (12, 4), "middle left": (-12, 4)}


class _Frame(msgspec.Struct, frozen=True):
    """Where latencies and accuracies lie on the paper."""

    ms: float
    low: float
    high: float

    def x(self, ms: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ms / self.ms

    def y(self, accuracy: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self.high - accuracy) / (self.high - self.low)


def scatter_svg(marks: Marks, *, title: str) -> str:
    """The picture; follows light and dark. With nothing measured it says so."""
    every = (*marks.measured, *marks.tabled)
    heading = _text(24, 30, f"{title}: accuracy against latency", "h")
    body = _plot(marks, every) if every else _text(24, 70, "No network has both a latency and an accuracy.", "m")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rp-scatter" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(title)}: accuracy against latency">'
        f'<style>{_STYLE}</style><rect class="paper" width="{_WIDTH}" height="{_HEIGHT}" rx="10"/>'
        f"{heading}{body}</svg>\n"
    )


def ticks(low: float, high: float, *, most: int = 7) -> list[float]:
    """Round numbers that cover a range, `most` of them at most."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _plot(marks: Marks, every: Sequence[Mark]) -> str:
    accuracies = [mark.accuracy for mark in every]
    spare = max(0.02, 0.12 * (max(accuracies) - min(accuracies)))
    frame = _Frame(
        1.12 * max(marks.budget_ms, *(mark.ms for mark in every)), min(accuracies) - spare, max(accuracies) + spare
    )
    sides = label_sides(marks.measured, width=frame.ms, height=frame.high - frame.low)
    parts = [_axes(frame), _budget(frame, marks.budget_ms)]
    parts += [_shape(frame, mark, "tabled") for mark in marks.tabled]
    parts.append(_front(frame, pareto(marks.measured)))
    kinds = ["chosen"] * len(marks.chosen) + ["final"] * len(marks.finalists) + ["base"] * len(marks.baselines)
    for mark, side, kind in zip(marks.measured, sides, kinds, strict=True):
        parts += [_shape(frame, mark, kind), _label(frame, mark, side, "b" if kind == "chosen" else "")]
    parts.append(_legend(marks))
    return "".join(parts)


def _axes(frame: _Frame) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in ticks(frame.low, min(frame.high, 1.0)):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.4%}".rstrip("%").rstrip("0").rstrip(".") + " %", "m", "end"))
    for value in ticks(0.0, frame.ms):
        x = frame.x(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, f"{value:g}", "m", "middle"))
    parts.append(_text((_LEFT + right) / 2, bottom + 38, "latency of one image, ms", "m", "middle"))
    return "".join(parts)


def _budget(frame: _Frame, ms: float) -> str:
    x = frame.x(ms)
    line = f'<line class="budget" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
    return line + _text(x, _TOP - 6, f"budget {ms:g} ms", "tb", "middle")


def _front(frame: _Frame, front: list[Mark]) -> str:
    """A staircase: until the next mark, the last one's accuracy is the best to be had."""
    if len(front) < 2:
        return ""
    steps = f"M{frame.x(front[0].ms):.1f} {frame.y(front[0].accuracy):.1f}"
    steps += "".join(f"H{frame.x(mark.ms):.1f}V{frame.y(mark.accuracy):.1f}" for mark in front[1:])
    return f'<path class="front" d="{steps}"/>'


def _shape(frame: _Frame, mark: Mark, kind: str) -> str:
    tip = f"<title>{escape(mark.name)}: {mark.ms:.3g} ms, {mark.accuracy:.1%}</title>"
    return _symbol(frame.x(mark.ms), frame.y(mark.accuracy), kind, tip)


def _symbol(x: float, y: float, kind: str, tip: str = "") -> str:
    if kind == "tabled":
        return f'<circle class="tabled" cx="{x:.1f}" cy="{y:.1f}" r="4">{tip}</circle>'
    if kind == "base":
        return f'<rect class="base" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" rx="1.5">{tip}</rect>'
    if kind == "final":
        return f'<path class="final" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z">{tip}</path>'
    corners = []
    for index in range(10):
        radius, angle = (10.0, 4.3)[index % 2], math.pi * (index / 5 - 0.5)
        corners.append(f"{x + radius * math.cos(angle):.1f},{y + radius * math.sin(angle):.1f}")
    return f'<polygon class="chosen" points="{" ".join(corners)}">{tip}</polygon>'


def _label(frame: _Frame, mark: Mark, side: str, css: str) -> str:
    dx, dy = _OFFSET[side]
    return _text(frame.x(mark.ms) + dx, frame.y(mark.accuracy) + dy, mark.name, f"halo {css}", _ANCHOR[side])


def _legend(marks: Marks) -> str:
    """Two columns of symbols and words under the axis."""
    entries = [
        ("chosen", f"chosen: measured, {marks.split} images", marks.chosen),
        ("base", f"baseline: measured, {marks.split} images", marks.baselines),
        ("final", f"finalist: measured, {marks.split} images", marks.finalists),
        ("tabled", "tabled, short training (validation images)", marks.tabled),
    ]
    parts = []
    for index, (kind, text, _) in enumerate(entry for entry in entries if entry[2]):
        x, y = _LEFT + 8 + 400 * (index % 2), _HEIGHT - 42 + 22 * (index // 2)
        parts.append(_symbol(x, y, kind) + _text(x + 16, y + 4.5, text))
    return "".join(parts)


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
