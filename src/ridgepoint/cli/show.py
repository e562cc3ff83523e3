"""`ridgepoint show`: one network, block by block, as a table, a drawing or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json

if TYPE_CHECKING:
    from ridgepoint.arch.network import Network
    from ridgepoint.report.blocks import BlockRow

_COUNTS = ("params", "deploy_params", "macs", "deploy_macs")


def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name of the zoo, or a .yaml file.")],
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a drawing to this file.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Show a network block by block: kinds, shapes and counts.

    Example: ridgepoint show mobilenetv4_conv_small --svg network.svg
    """
    from ridgepoint.arch.zoo import load
    from ridgepoint.report.blocks import block_rows

    network = load(model)
    rows = block_rows(network)
    if svg is not None:
        _write_drawing(network, svg)
    if json_output:
        emit_json(_document(network, rows, svg))
        return
    _print_table(network, rows)
    if svg is not None:
        console().print(f"Drawing: {svg}", markup=False)


def _write_drawing(network: "Network", path: Path) -> None:
    from ridgepoint.errors import InputError
    from ridgepoint.report.drawing import draw

    try:
        path.write_text(draw(network) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--svg {path}: cannot be written: {error.strerror}. Give a file in a folder that exists"
        ) from None


def _document(network: "Network", rows: "tuple[BlockRow, ...]", svg: Path | None) -> dict[str, Any]:
    from ridgepoint.cost.count import CONVENTION

    blocks = [
        {
            "path": row.path,
            "kind": row.name,
            "detail": row.detail,
            "input": str(row.input),
            "output": str(row.output),
            "widths": list(row.widths),
            "stride": row.stride,
            "residual": row.residual,
            **{key: getattr(row, key) for key in _COUNTS},
        }
        for row in rows
    ]
    return {
        "name": network.name,
        "digest": network.digest,
        "input": list(network.input),
        "num_classes": network.num_classes,
        **{key: sum(getattr(row, key) for row in rows) for key in _COUNTS},
        "convention": CONVENTION,
        "blocks": blocks,
        "svg": None if svg is None else str(svg),
    }


def _print_table(network: "Network", rows: "tuple[BlockRow, ...]") -> None:
    from rich.measure import Measurement
    from rich.table import Table

    from ridgepoint.cost.count import CONVENTION
    from ridgepoint.units import format_count

    table = Table(box=None, pad_edge=False)
    for head in ("path", "block", "input", "output"):
        table.add_column(head, no_wrap=True)
    for head in ("stride", "params", "deploy", "MACs", "deploy"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        shapes = (str(row.input), f"→ {row.output}")
        counts = (format_count(getattr(row, key)) for key in _COUNTS)
        table.add_row(row.path, f"{row.name} {row.detail}".strip(), *shapes, str(row.stride), *counts)
    totals = (format_count(sum(getattr(row, key) for row in rows)) for key in _COUNTS)
    table.add_row("total", "", "", "", "", *totals, style="bold")
    out = console()
    out.print(f"{network.name}, input {'x'.join(map(str, network.input))}, digest {network.digest}", markup=False)
    # A pipe has no width: the table keeps its own rather than losing its ends.
    natural = Measurement.get(out, out.options.update(max_width=1000), table).maximum
    out.width = max(natural, out.width)
    out.print(table)
    out.print(f"deploy: the form that ships, norms and branches folded. {CONVENTION}")
