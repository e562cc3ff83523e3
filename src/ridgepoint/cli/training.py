"""What the verbs that train share: where a run goes, and what they say at the end."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.ending import tell_training
from ridgepoint.cli.output import emit_json, write_report

Out = Annotated[Path | None, typer.Option("--out", help="The run folder.  [default: the next free under runs/]")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]


def tell(result: dict[str, Any], *, json_output: bool) -> None:
    """The end of a training, for people or as JSON; with its page."""
    write_report(Path(result["run"]))
    if json_output:
        emit_json(result)
    else:
        tell_training(Path(result["run"]))
