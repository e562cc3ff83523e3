"""`ridgepoint weights`: published weights of the zoo's networks, what they want, their terms, and which are here."""

from typing import Annotated, Any

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.cli.table import print_table

TITLES = ("weights", "px", "mean", "deviation", "padding", "classes", "licence", "here")


def weights(
    pattern: Annotated[str, typer.Argument(metavar="GLOB", help="Which names, for example 'mobilenetv4*'.")] = "*",
    json_output: JsonFlag = False,
) -> None:
    """List published weights: what they want of an input, their licence, and whether they are on this machine.

    Example: ridgepoint weights 'mobilenetv4*'
    """
    from ridgepoint.errors import InputError, nearest
    from ridgepoint.nn.published import list_weights, published_weights
    from ridgepoint.nn.reach import FOLDER, how_to_get, lying, weights_folder

    found = list_weights(pattern)
    if not found:
        known = [row.name for row in published_weights()]
        raise InputError(
            f"no published weights match '{pattern}'; {nearest(pattern.strip('*?'), known)}. A pattern may hold * for "
            "any letters, in quotes: 'mobilenetv4*'"
        )
    rows = [_row(row, lying(row)) for row in found]
    if json_output:
        emit_json({"folder": None if (folder := weights_folder()) is None else str(folder), "weights": rows})
        return
    out = console()
    terms = sorted({row["licence"] for row in rows if "," in row["licence"] or " " in row["licence"]})
    cells = [
        [
            row["name"],
            f"{row['size']}",
            _values(row["mean"]),
            _values(row["std"]),
            row["padding"],
            f"{row['classes']:,}" if row["classes"] else "none",
            f"({terms.index(row['licence']) + 1})" if row["licence"] in terms else row["licence"],
            row["where"] or ("no" if row["repository"] else "no, and not at the hub"),
        ]
        for row in rows
    ]
    print_table(out, TITLES, cells, left=("weights", "mean", "deviation", "padding", "licence", "here"))
    here = sum(row["where"] is not None for row in rows)
    out.print(f"{len(rows)} weights, {here} on this machine: in {FOLDER} or in the hub's cache.")
    for number, words in enumerate(terms, start=1):
        out.print(f"  ({number}) {words}")
    lacking = [row for row in found if lying(row) is None]
    if hub := next((row for row in lacking if row.repository), None):
        out.print(f"Others are fetched when they are asked for. {how_to_get(hub)}.")
    for row in lacking:
        if row.repository is None:
            out.print(f"Not at the hub: {how_to_get(row)}.")


def _values(values: list[float]) -> str:
    """One number where all channels have the same."""
    return ", ".join(f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values))


def _row(row: Any, found: Any) -> dict[str, Any]:
    return {
        "name": row.name,
        "network": row.network,
        "tag": row.tag,
        "repository": row.repository,
        "origin": row.origin,
        "size": row.size,
        "mean": list(row.normalisation.mean),
        "std": list(row.normalisation.std),
        "padding": row.padding,
        "classes": row.classes,
        "licence": row.licence.words,
        "open_licence": row.licence.open,
        "sha256": row.sha256,
        "where": None if found is None else found.where,
        "path": None if found is None else str(found.path),
    }
