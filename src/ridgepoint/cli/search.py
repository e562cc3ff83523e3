"""`ridgepoint search`: one method on one space."""

from typing import Annotated

import typer

from ridgepoint.cli import request, training
from ridgepoint.cli.output import Busy, JsonFlag
from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.search.methods import OF_NETWORKS, OF_SPACES, told_installed


def search(
    context: typer.Context,
    space: Annotated[str, typer.Argument(help="A search space by name or YAML file; or a network to change.")],
    data: request.Data,
    latency: request.Latency,
    method: Annotated[
        str,
        typer.Option(
            help=f"On a space: {', '.join(OF_SPACES)}. On a network: {', '.join(OF_NETWORKS)}. {told_installed()}"
        ),
    ] = "auto",
    device: request.Device = "host",
    runtime: request.Runtime = DEFAULT,
    threads: request.Threads = 1,
    time: request.Time = None,
    evaluations: request.Evaluations = None,
    recipe: request.Recipe = None,
    changes: request.Changes = None,
    size: request.Size = None,
    weights: Annotated[
        str | None,
        typer.Option(help="What a network's search starts from: a training's folder, a file, or a hub id."),
    ] = None,
    baselines: request.Baselines = 0,
    seed: request.Seed = 0,
    table: request.Table = None,
    data_root: request.DataRoot = None,
    workers: request.Workers = 1,
    accelerator: training.AcceleratorName = "auto",
    study: request.StudyUrl = None,
    busy: Busy = False,
    out: request.Out = None,
    resume: request.Resume = False,
    json_output: JsonFlag = False,
) -> None:
    """Search a space with one method; the best is trained, exported and measured.

    Example: ridgepoint search mobilenetv4_conv photos/ --method evolution --latency 5ms --evaluations 50
    """
    request.carry_out(verb="search", **locals())
