"""The accuracy-latency picture as an SVG: no script, no fonts, no library; every mark is named."""

import math
from html import escape
from pathlib import Path

import msgspec

from ridgepoint.errors import shortened
from ridgepoint.files import write_atomic
from ridgepoint.report.labels import Box, Label, place_labels
from ridgepoint.report.points import Mark, Marks, collect, pareto
from ridgepoint.report.result import read_run

WIDE, NARROW = (1000, 460), (360, 440)
"""Width and height in pixels: for a screen or a document, and for a phone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 44, 52
_LINE, _LETTER = 16, 7.1  # height of a line and mean width of a letter, pixels at the size of the text
_LONGEST = 30
_STYLE = (
    ".rp-scatter{--ink:#1d232b;--muted:#5c6673;--grid:#e2e6ec;--paper:#fff;--chosen:#d9480f;--base:#2f78d6;"
    "--final:#7a52c7;--budget:#c2255c;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}"
    "@media (prefers-color-scheme:dark){.rp-scatter{--ink:#e8ecf1;--muted:#a0abb9;--grid:#2c333d;--paper:#15191f;"
    "--chosen:#ff8a4c;--base:#5b9cf2;--final:#a98bf0;--budget:#f0709b}}"
    ".rp-scatter text{fill:var(--ink);font-size:13px}.rp-scatter .m{fill:var(--muted)}.rp-scatter .h{font-size:16px;"
    "font-weight:650}.rp-scatter .b{font-weight:650}"
    ".rp-scatter .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}"
    ".rp-scatter .paper{fill:var(--paper)}"
    ".rp-scatter .grid{stroke:var(--grid)}.rp-scatter .front{fill:none;stroke:var(--base);stroke-width:1.5;"
    "stroke-dasharray:2 4}.rp-scatter .budget{stroke:var(--budget);stroke-width:1.5;stroke-dasharray:6 4}"
    ".rp-scatter .tb{fill:var(--budget)}.rp-scatter .chosen{fill:var(--chosen)}.rp-scatter .base{fill:var(--base)}"
    ".rp-scatter .final{fill:var(--final)}"
    ".rp-scatter .guess{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:2 3}"
    ".rp-scatter .lead{stroke:var(--muted)}"
)


class _Frame(msgspec.Struct, frozen=True):
    """Where latencies and accuracies lie on the paper."""

    width: int
    height: int
    ms: float
    low: float
    high: float

    @property
    def area(self) -> Box:
        """What lies between the axes."""
        return Box(_LEFT, _TOP, self.width - _RIGHT, self.height - self.below)

    @property
    def columns(self) -> int:
        """Of the legend."""
        return 4 if self.width > 600 else 1

    @property
    def below(self) -> int:
        """Pixels under the axis: its numbers and name, and the legend."""
        return _BOTTOM + 22 * math.ceil(4 / self.columns)

    def x(self, ms: float) -> float:
        return self.area.left + (self.area.right - self.area.left) * ms / self.ms

    def y(self, accuracy: float) -> float:
        return self.area.top + (self.area.bottom - self.area.top) * (self.high - accuracy) / (self.high - self.low)


def scatter_svg(marks: Marks, *, title: str, metric: str = "accuracy", size: tuple[int, int] = WIDE) -> str:
    """The picture; follows light and dark. With nothing measured it says so."""
    width, height = size
    heading = shortened(f"{title}: {metric} against latency", int((width - 40) / 8.2))
    empty = _text(24, 70, "No network has both a latency and a score.", "m")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rp-scatter" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(heading)}">'
        f'<style>{_STYLE}</style><rect class="paper" width="{width}" height="{height}" rx="10"/>'
        f"{_plot(marks, metric, size) if marks.every else empty}</svg>\n"
    )


def save_scatter_svg(run: Path, out: Path) -> None:
    """Write the accuracy-latency picture of a run folder as a file.

    Raises:
        RunError: If the folder is not that of a finished run.
        WriteError: If the disk is full or the folder cannot be written.
    """
    read = read_run(run)
    write_atomic(out, scatter_svg(collect(read), title=read.result.name, metric=read.result.metric))


def ticks(low: float, high: float, *, most: int = 7) -> list[float]:
    """Round numbers that cover a range, `most` of them at most."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def frame_of(marks: Marks, size: tuple[int, int]) -> _Frame:
    """Latencies from 0 to beyond the budget; accuracies with some room around them and the usual guess."""
    shares = [mark.accuracy for mark in marks.every] + ([] if marks.majority is None else [marks.majority])
    spare = max(0.02, 0.12 * (max(shares) - min(shares)))
    return _Frame(
        *size,
        1.06 * max(marks.budget_ms, *(mark.ms for mark in marks.every)),
        max(min(shares) - spare, 0.0),
        min(max(shares) + spare, 1.02),
    )


def labels_of(marks: Marks, frame: _Frame) -> list[Label | None]:
    """The place of every mark's name; the budget's and the guess's lines do not count."""
    places = [(frame.x(mark.ms), frame.y(mark.accuracy)) for mark in marks.every]
    sizes = [(_LETTER * len(_name(mark)), float(_LINE)) for mark in marks.every]
    area = frame.area
    return place_labels(places, sizes, Box(area.left, area.top - 8, area.right + 8, area.bottom))


def _plot(marks: Marks, metric: str, size: tuple[int, int]) -> str:
    frame = frame_of(marks, size)
    parts = [_axes(frame, metric), _budget(frame, marks.budget_ms), _guess(frame, marks.majority)]
    parts.append(_front(frame, pareto(marks.every)))
    kinds = ["chosen"] * len(marks.chosen) + ["final"] * len(marks.finalists) + ["base"] * len(marks.baselines)
    named = list(zip(marks.every, labels_of(marks, frame), kinds, strict=True))
    parts += [_lead(frame, mark, label) for mark, label, _ in named]
    parts += [_shape(frame, mark, kind) for mark, _, kind in reversed(named)]  # the chosen one on top
    parts += [_label(mark, label, kind) for mark, label, kind in named]
    parts.append(_legend(marks, frame))
    return "".join(parts)


def _axes(frame: _Frame, metric: str) -> str:
    area = frame.area
    parts = []
    for value in ticks(frame.low, min(frame.high, 1.0), most=6):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{area.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.4%}".rstrip("%").rstrip("0").rstrip(".") + " %", "m", "end"))
    for value in ticks(0.0, frame.ms, most=7 if frame.width > 600 else 4):
        x = frame.x(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{area.bottom}"/>')
        parts.append(_text(x, area.bottom + 18, f"{value:g}", "m", "middle"))
    parts.append(_text((_LEFT + area.right) / 2, area.bottom + 38, "latency of one image, ms", "m", "middle"))
    parts.append(_text(12, 20, metric, "m"))
    return "".join(parts)


def _budget(frame: _Frame, ms: float) -> str:
    x = frame.x(ms)
    line = f'<line class="budget" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{frame.area.bottom}"/>'
    half = _LETTER * len(f"budget {ms:g} ms") / 2
    return line + _text(min(x, frame.width - half - 4), _TOP - 12, f"budget {ms:g} ms", "tb", "middle")


def _guess(frame: _Frame, majority: float | None) -> str:
    """The accuracy of whoever always answers the most frequent class."""
    if majority is None:
        return ""
    y = frame.y(majority)
    return f'<line class="guess" x1="{_LEFT}" x2="{frame.area.right}" y1="{y:.1f}" y2="{y:.1f}"/>'


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
    if kind == "guess":
        return f'<line class="guess" x1="{x - 9:.1f}" x2="{x + 9:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    if kind == "base":
        return f'<rect class="base" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" rx="1.5">{tip}</rect>'
    if kind == "final":
        return f'<path class="final" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z">{tip}</path>'
    corners = []
    for index in range(10):
        radius, angle = (10.0, 4.3)[index % 2], math.pi * (index / 5 - 0.5)
        corners.append(f"{x + radius * math.cos(angle):.1f},{y + radius * math.sin(angle):.1f}")
    return f'<polygon class="chosen" points="{" ".join(corners)}">{tip}</polygon>'


def _name(mark: Mark) -> str:
    return shortened(mark.name, _LONGEST)


def _lead(frame: _Frame, mark: Mark, label: Label | None) -> str:
    """A line to a name that is not beside its mark."""
    if label is None or not label.far:
        return ""
    box, x, y = label.box, frame.x(mark.ms), frame.y(mark.accuracy)
    to_x, to_y = min(max(x, box.left), box.right), min(max(y, box.top + 3), box.bottom - 3)
    return f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _label(mark: Mark, label: Label | None, kind: str) -> str:
    if label is None:
        return ""
    box = label.box
    css = "halo b" if kind == "chosen" else "halo"
    return _text((box.left + box.right) / 2, box.bottom - 4, _name(mark), css, "middle")


def _legend(marks: Marks, frame: _Frame) -> str:
    """Symbols and words under the axis."""
    entries = [
        ("chosen", "chosen", marks.chosen),
        ("final", "other finalist", marks.finalists),
        ("base", "zoo network", marks.baselines),
        ("guess", "always the most frequent class", marks.majority is not None),
    ]
    parts = []
    for index, (kind, text, _) in enumerate(entry for entry in entries if entry[2]):
        x = _LEFT + 8 + (frame.width - _LEFT) / frame.columns * (index % frame.columns)
        y = frame.area.bottom + 60 + 22 * (index // frame.columns)
        parts.append(_symbol(x, y, kind) + _text(x + 16, y + 4.5, text))
    return "".join(parts)


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
