"""Tables as wide as their content: a name or number that is cut off at the edge of a terminal or a pipe is none."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any


def print_table(
    out: Any,
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Collection[str],
    total: Sequence[str] | None = None,
) -> None:
    """Print rows below their titles; columns of numbers stand on the right.

    Args:
        out: The console.
        titles: One for each column.
        rows: As many cells each.
        left: The titles of columns of words.
        total: A last row that stands out.
    """
    from rich.cells import cell_len

    cells = [titles, *rows, *([total] if total else [])]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        gaps = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        padded = [c + gap if title in left else gap + c for title, c, gap in zip(titles, row, gaps, strict=True)]
        return "  ".join(padded).rstrip()

    head, *body = map(line, cells)
    out.print(head, style="bold")
    if total:
        *body, last = body
    if body:
        out.print("\n".join(body))
    if total:
        out.print(last, style="bold")
