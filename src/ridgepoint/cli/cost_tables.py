"""The tables that `ridgepoint cost` prints, from its JSON rows."""

from typing import Any

from ridgepoint.cli.table import print_table
from ridgepoint.units import format_count, format_ms

Table = tuple[list[str], list[list[str]]]
_WORDS = ("model", "block", "pass", "kind", "output", "bound")


def assumed(row: dict[str, Any]) -> str:
    """What the counts hold for, in words."""
    return f"{row['form']} form, {row['precision']}, fused: {row['fused']}"


def show(out: Any, table: Table) -> None:
    """Print titles and rows."""
    print_table(out, *table, left=_WORDS)


def of_totals(rows: list[dict[str, Any]], device: str | None) -> Table:
    """One row per network; the latency first, where there is one."""
    bounded = "memory_bound_share" in rows[0]
    titles = ["model", *([device] if device else []), *(["memory-bound"] if bounded else [])]
    titles += ["params", "MACs", "weights", "activations", "MACs/B"]
    table = []
    for row in rows:
        cells = [f"{row['name']} @{row['input'][1]}"]
        if device:
            latency = row["latency"]
            cells.append(format_ms(latency["ms"]) if latency else f"{format_count(row['time_macs'])} MACs")
        if bounded:
            cells.append(f"{row['memory_bound_share']:.0%}")
        cells += [format_count(row["params"]), format_count(row["macs"])]
        cells += [f"{format_count(row[key])}B" for key in ("weight_bytes", "activation_bytes")]
        table.append([*cells, f"{row['macs_per_byte']:.1f}"])
    return titles, table


def of_blocks(row: dict[str, Any]) -> Table:
    """One row per block."""
    titles, table = ["block", "kind", "output", "MACs", "params", "bytes", "MACs/B"], []
    for block in row["blocks"]:
        counts = [format_count(block[key]) for key in ("macs", "params", "bytes")]
        table.append([block["path"], block["kind"], block["output"], *counts, f"{block['macs_per_byte']:.1f}"])
    return titles, table


def of_layers(row: dict[str, Any]) -> Table:
    """One row per pass; what was fused into it follows its kind."""
    bounded = "memory_bound_share" in row
    titles = ["pass", "kind", "MACs", "weights", "activations", "MACs/B"]
    titles += ["bound", "share of time"] if bounded else []
    table = []
    for layer in row["layers"]:
        kind = "+".join([layer["kind"], *layer["absorbed"]])
        weights, moved = f"{format_count(layer['weight_bytes'])}B", f"{format_count(layer['activation_bytes'])}B"
        intensity = layer["intensity" if "intensity" in layer else "macs_per_byte"]
        cells = [layer["path"], kind, format_count(layer["macs"]), weights, moved, f"{intensity:.1f}"]
        table.append([*cells, *([layer["bound"], f"{layer['share']:.1%}"] if bounded else [])])
    return titles, table
