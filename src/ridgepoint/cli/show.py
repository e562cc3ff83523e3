"""`ridgepoint show`: one network or one search space, as a table, a drawing or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ridgepoint.cli.output import DRAWING, ForceFlag, JsonFlag, console, destination, emit_json
from ridgepoint.cli.table import print_table
from ridgepoint.files import write_atomic

if TYPE_CHECKING:
    from ridgepoint.arch.network import Network
    from ridgepoint.report.blocks import BlockRow

_COUNTS = ("params", "deploy_params", "macs", "deploy_macs")


def show(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A network of the zoo, a search space, or a .yaml file of either.")
    ],
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a drawing to this file.")] = None,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Show a network block by block, or a search space with its choices and its size.

    Example: ridgepoint show mobilenetv4_conv_small --svg network.svg
    """
    from ridgepoint.arch.space import kind_of

    svg = destination(svg, option="--svg", mark=DRAWING, force=force)
    show_it = _show_space if kind_of(model) == "space" else _show_network
    show_it(model, svg, json_output)
    if svg is not None and not json_output:
        console().print(f"Drawing: {svg}", markup=False)


def _show_network(model: str, svg: Path | None, as_json: bool) -> None:
    from ridgepoint.arch.zoo import load
    from ridgepoint.report.blocks import block_rows
    from ridgepoint.report.drawing import draw

    network = load(model)
    rows = block_rows(network)
    if svg is not None:
        write_atomic(svg, draw(network) + "\n")
    if as_json:
        emit_json(_document(network, rows, svg))
    else:
        _print_table(network, rows)


def _show_space(model: str, svg: Path | None, as_json: bool) -> None:
    from ridgepoint.arch.space import load_space
    from ridgepoint.cli.show_space import print_space, space_document
    from ridgepoint.report.space_drawing import draw_space

    space = load_space(model)
    if svg is not None:
        write_atomic(svg, draw_space(space) + "\n")
    if as_json:
        emit_json({**space_document(space), "svg": None if svg is None else str(svg)})
    else:
        print_space(space)


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
    from ridgepoint.cost.count import CONVENTION
    from ridgepoint.units import format_count

    words, cells = ("path", "block", "input", "output"), []
    for row in rows:
        shapes = (str(row.input), f"→ {row.output}")
        counts = (format_count(getattr(row, key)) for key in _COUNTS)
        cells.append([row.path, f"{row.name} {row.detail}".strip(), *shapes, str(row.stride), *counts])
    totals = (format_count(sum(getattr(row, key) for row in rows)) for key in _COUNTS)
    out = console()
    out.print(f"{network.name}, input {'x'.join(map(str, network.input))}, digest {network.digest}", markup=False)
    titles = (*words, "stride", "params", "deploy", "MACs", "deploy")
    print_table(out, titles, cells, left=words, total=["total", "", "", "", "", *totals])
    out.print(f"deploy: the form that ships, norms and branches folded. {CONVENTION}")
