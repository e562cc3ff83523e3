"""The tables that `ridgepoint cost` prints, from its JSON rows."""

from typing import Any

from rich.measure import Measurement
from rich.table import Table

from ridgepoint.units import format_count, format_ms


def assumed(row: dict[str, Any]) -> str:
    """What the counts hold for, in words."""
    return f"{row['form']} form, {row['precision']}, fused: {row['fused']}"


def show(out: Any, table: Table) -> None:
    """Print a table as wide as it needs: numbers cut off at the edge of a terminal or a pipe are no numbers."""
    needed = Measurement.get(out, out.options.update(max_width=1000), table).maximum
    out.width = max(out.width, needed)
    out.print(table)


def of_totals(rows: list[dict[str, Any]], device: str | None) -> Table:
    """One row per network; the latency first, where there is one."""
    bounded = "memory_bound_share" in rows[0]
    table = _table("model", *([device] if device else []), *(["memory-bound"] if bounded else []))
    for name in ("params", "MACs", "weights", "activations", "MACs/B"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row['name']} @{row['input'][1]}"]
        if device:
            latency = row["latency"]
            cells.append(format_ms(latency["ms"]) if latency else f"{format_count(row['time_macs'])} MACs")
        if bounded:
            cells.append(f"{row['memory_bound_share']:.0%}")
        cells += [format_count(row["params"]), format_count(row["macs"])]
        cells += [f"{format_count(row[key])}B" for key in ("weight_bytes", "activation_bytes")]
        table.add_row(*cells, f"{row['macs_per_byte']:.1f}")
    return table


def of_blocks(row: dict[str, Any]) -> Table:
    """One row per block."""
    table = _table("block", "kind", "output", "MACs", "params", "bytes", "MACs/B")
    for block in row["blocks"]:
        counts = [format_count(block[key]) for key in ("macs", "params", "bytes")]
        table.add_row(block["path"], block["kind"], block["output"], *counts, f"{block['macs_per_byte']:.1f}")
    return table


def of_layers(row: dict[str, Any]) -> Table:
    """One row per pass; what was fused into it follows its kind."""
    table = _table("pass", "kind", "MACs", "weights", "activations", "MACs/B")
    bounded = "memory_bound_share" in row
    if bounded:
        table.add_column("bound")
        table.add_column("share of time", justify="right")
    for layer in row["layers"]:
        kind = "+".join([layer["kind"], *layer["absorbed"]])
        weights, moved = f"{format_count(layer['weight_bytes'])}B", f"{format_count(layer['activation_bytes'])}B"
        intensity = layer["intensity" if "intensity" in layer else "macs_per_byte"]
        cells = [layer["path"], kind, format_count(layer["macs"]), weights, moved, f"{intensity:.1f}"]
        table.add_row(*cells, *([layer["bound"], f"{layer['share']:.1%}"] if bounded else []))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        words = name in ("model", "input", "block", "pass", "kind", "output")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    return table
