"""`ridgepoint worker`: train candidates for searches that run on other machines."""

from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, emit_json


def worker(
    study: Annotated[str, typer.Argument(help="The database that the search was given with --study.")],
    idle: Annotated[
        str | None, typer.Option(help="End after so long without work, for example 10m.  [default: never]")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Train and judge candidates of the searches that use a study, until Ctrl-C.

    The images must lie where the search has them: start it in the same folder of the same data.

    Example: ridgepoint worker postgresql://studies.example/ridgepoint
    """
    from ridgepoint.units import parse_seconds

    idle_s = float("inf") if idle is None else parse_seconds(idle, what="--idle", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.fit.worker import serve

    display = Live()
    display.say(f"Waiting for candidates of {study}")
    judged = serve(study, idle_s=idle_s, display=display)
    if json_output:
        emit_json({"judged": judged})
    else:
        typer.echo(f"{judged} candidates judged")
