"""`ridgepoint show` of a search space: its rows, what they leave open, and how many networks it holds."""

from typing import TYPE_CHECKING, Any

from ridgepoint.cli.output import console

if TYPE_CHECKING:
    from ridgepoint.arch.space import Space


def space_document(space: "Space") -> dict[str, Any]:
    """The space as JSON."""
    import msgspec

    from ridgepoint.report.space_rows import space_stages

    keys = space.keys
    return {
        "name": space.name,
        "size": space.size,
        "choices": [{"name": c.name, "decides": keys[c.name], "options": len(c.options)} for c in space.choices],
        "stages": [msgspec.to_builtins(stage) for stage in space_stages(space)],
    }


def print_space(space: "Space") -> None:
    """The space as a table, a line per row of its template."""
    from rich.measure import Measurement
    from rich.table import Table

    from ridgepoint.report.space_rows import space_stages, summary

    table = Table(box=None, pad_edge=False)
    for head in ("row", "block", "choices", "channels"):
        table.add_column(head, no_wrap=True)
    for stage in space_stages(space):
        if stage.depths:
            table.add_row(stage.name, f"keeps the first {'|'.join(map(str, stage.depths))} rows", style="italic")
        for row in stage.rows:
            stride = " ↓" if row.strides else ""
            table.add_row(row.path, row.name + stride, row.options, "|".join(map(str, row.widths)))
    out = console()
    out.print(f"{space.name}: {summary(space)}", markup=False)
    natural = Measurement.get(out, out.options.update(max_width=1000), table).maximum
    out.width = max(natural, out.width)
    out.print(table)
