"""What `fit` and `search` share: their options, and carrying a request out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.asked import asked
from ridgepoint.cli.ending import tell_fit
from ridgepoint.cli.output import emit_json, write_report

Data = Annotated[
    str, typer.Argument(help="A folder of class folders, 'digits', or a torchvision data set such as CIFAR10.")
]
Latency = Annotated[str, typer.Option(help="The budget for one image, for example 5ms.")]
Device = Annotated[str, typer.Option(help="What it must run on; 'host' is this machine, measured.")]
Runtime = Annotated[str, typer.Option(help="The runtime that loads the exported file.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads inside one inference.")]
Time = Annotated[str | None, typer.Option(help="Wall-clock bound of the whole command.  [default: 10m]")]
Evaluations = Annotated[
    int | None, typer.Option(min=1, help="Bound the search by trained candidates instead: this reproduces.")
]
Recipe = Annotated[str | None, typer.Option(help="How to train, by name or YAML file.  [default: by size]")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe; of the method with search.KEY."),
]
Size = Annotated[int | None, typer.Option(help="Input size in pixels.  [default: from the images]")]
Baselines = Annotated[int, typer.Option(min=0, help="How many zoo networks the winner has to beat.")]
Seed = Annotated[int, typer.Option(min=0, help="Of splits, weights, proposals and augmentation.")]
Table = Annotated[
    Path | None, typer.Option(help="This machine's latency table.  [default: in the user's cache folder]")
]
DataRoot = Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes of this machine that train candidates side by side.")]
StudyUrl = Annotated[
    str | None,
    typer.Option(help="postgresql://host/database: for 'ridgepoint worker' on other machines."),
]
Out = Annotated[Path | None, typer.Option(help="The run folder.  [default: the next free under runs/]")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]


def carry_out(
    *,
    context: typer.Context,
    latency: str,
    time: str | None,
    changes: list[str] | None,
    out: Path | None,
    resume: bool,
    json_output: bool,
    **options: Any,
) -> None:
    """Run a request as it was typed, build its report and tell the result; exit code 3 if the budget is missed."""
    from time import monotonic

    from ridgepoint.units import parse_latency_ms, parse_seconds

    since = monotonic()  # to load torch takes seconds

    budget_ms = parse_latency_ms(latency)
    time_s = None if time is None else parse_seconds(time, what="--time", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.fit.pipeline import fit as run_fit
    from ridgepoint.fit.settings import make_settings
    from ridgepoint.train.recipe import parse_changes

    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    settings = make_settings(latency_ms=budget_ms, time_s=time_s, changes=parse_changes(changes or []), **plain)
    result = run_fit(settings, out=out, resume=resume, asked=asked(context), since=since, display=Live())
    write_report(Path(result["run"]))
    if json_output:
        emit_json(result)
    else:
        tell_fit(Path(result["run"]))
    if not result["met"] or result.get("doubts"):
        raise typer.Exit(3)
