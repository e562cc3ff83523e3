"""`ridgepoint show` of a search space: its rows, what they leave open, and how many networks it holds."""

from typing import TYPE_CHECKING, Any

from ridgepoint.cli.output import console
from ridgepoint.cli.table import print_table

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
    from ridgepoint.report.space_rows import space_stages, summary

    titles, cells = ("row", "block", "choices", "channels"), []
    for stage in space_stages(space):
        if stage.depths:
            cells.append([stage.name, f"keeps the first {'|'.join(map(str, stage.depths))} rows", "", ""])
        for row in stage.rows:
            stride = " ↓" if row.strides else ""
            cells.append([row.path, row.name + stride, row.options, "|".join(map(str, row.widths))])
    out = console()
    out.print(f"{space.name}: {summary(space)}", markup=False)
    print_table(out, titles, cells, left=titles)
