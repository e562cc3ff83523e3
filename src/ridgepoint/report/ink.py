"""What drawings of architectures share: colours that follow light and dark, and text."""

from collections.abc import Mapping
from html import escape

from ridgepoint.arch.part import Hue

# Light, dark; the same kinds of work keep the same hue in every network.
HUES: dict[Hue, tuple[str, str]] = {
    "slate": ("#66758a", "#8b9bb2"),
    "teal": ("#0f8f83", "#2bb5a7"),
    "orange": ("#c2570c", "#ea7a2f"),
    "blue": ("#2f6fcf", "#5794ee"),
    "violet": ("#6a4bc4", "#957af0"),
    "green": ("#1d8a4b", "#3bb06c"),
    "amber": ("#a87900", "#d3a21c"),
    "rose": ("#bf3468", "#ec6a97"),
    "graphite": ("#3f4854", "#b9c2cf"),
}
_STYLE = (
    ".rp-net{--ink:#1d232b;--muted:#5c6673;--band:#f4f6f9;--line:#c9d0d9;--paper:#ffffff;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}"
    ".rp-net text{fill:var(--ink);font-size:13px}.rp-net .m{fill:var(--muted)}.rp-net .s{font-size:12px}"
    ".rp-net .h{font-size:19px;font-weight:650}.rp-net .b{font-weight:600}.rp-net .e{text-anchor:end}"
    ".rp-net .n{font-variant-numeric:tabular-nums}.rp-net .paper{fill:var(--paper)}.rp-net .band{fill:var(--band)}"
    ".rp-net .flow{stroke:var(--line);stroke-width:2}.rp-net .arc{fill:none;stroke:var(--muted);stroke-width:1.2}"
    ".rp-net .res{fill:none;stroke:var(--muted);stroke-width:1.2}.rp-net .pale{opacity:.3}"
)
_DARK = ".rp-net{--ink:#e8ecf1;--muted:#a0abb9;--band:#20252d;--line:#454e5a;--paper:#15191f}"


def style(hues: Mapping[str, Hue]) -> str:
    """The style sheet of a drawing in which blocks of some kinds occur, each in its hue."""
    used = {kind: HUES[hue] for kind, hue in hues.items()}
    light, dark = ("".join(f".rp-net .k-{kind}{{fill:{used[kind][mode]}}}" for kind in used) for mode in (0, 1))
    return f"{_STYLE}{light}@media (prefers-color-scheme:dark){{{_DARK}{dark}}}"


def caption(x: float, y: float, text: str, css: str) -> str:
    """A line of text."""
    return f'<text class="{css.strip()}" x="{x}" y="{y}">{escape(text)}</text>'
