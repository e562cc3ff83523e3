"""`ridgepoint worker`: train candidates for searches that run on other machines."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json


def worker(
    study: Annotated[str, typer.Argument(help="The database that the search was given with --study.")],
    allow: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose images searches may use; may be repeated.  [default: this folder]"),
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch torchvision data sets that a search uses and that are not here.")
    ] = False,
    idle: Annotated[
        str | None, typer.Option(help="End after so long without work, for example 10m.  [default: never]")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Train and judge candidates of the searches that use a study, until Ctrl-C.

    The images must lie where the search has them: start it in the same folder of the same data. Whoever can write to
    the study can make it train on images that are allowed; nothing else is read, written or fetched for him.

    Example: ridgepoint worker postgresql://studies.example/ridgepoint --allow photos/
    """
    from ridgepoint.units import parse_seconds

    idle_s = float("inf") if idle is None else parse_seconds(idle, what="--idle", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.search.address import told_study
    from ridgepoint.workers.peers import Allowed
    from ridgepoint.workers.worker import serve

    display = Live()
    display.say(f"Waiting for candidates of {told_study(study)}")
    folders = [Path.cwd()] if allow is None else allow
    allowed = Allowed(folders=folders, data_root=data_root, download=download)
    judged = serve(study, allowed=allowed, idle_s=idle_s, display=display)
    if json_output:
        emit_json({"judged": judged})
    else:
        console().print(f"{judged} candidates judged")
