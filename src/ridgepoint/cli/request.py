"""What `fit` and `search` share: where a run goes, and carrying a request out."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.ending import tell_fit
from ridgepoint.cli.options import Asked
from ridgepoint.cli.output import emit_json, write_report
from ridgepoint.fit.settings import FitSettings

Out = Annotated[Path | None, typer.Option(help="The run folder.  [default: the next free under runs/]")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]


def carry_out(asked: Asked[FitSettings], *, out: Path | None, resume: bool, json_output: bool) -> None:
    """Run a request, build its report and tell the result; exit code 3 if the budget is missed."""
    from ridgepoint.cli.live import Live
    from ridgepoint.fit.pipeline import fit as run_fit

    result = run_fit(
        asked.settings,
        out=out,
        resume=resume,
        asked=asked.named,
        since=asked.since,
        display=Live(),
        written=write_report,
    )
    if json_output:
        emit_json(result)
    else:
        tell_fit(Path(result["run"]))
    if not result["met"] or result.get("doubts"):
        raise typer.Exit(3)
