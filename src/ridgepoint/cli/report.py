"""`ridgepoint report`: a run's page, built again from its folder."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    json_output: JsonFlag = False,
) -> None:
    """Build a run's report.html again, from the files in its folder.

    Example: ridgepoint report runs/fit/digits
    """
    from ridgepoint.report.page import REPORT, build_report
    from ridgepoint.run.folder import writing_into

    with writing_into(run / REPORT):
        path = build_report(run).resolve()
    if json_output:
        emit_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        console().print(str(path))
