"""`ridgepoint fit`: the main job."""

from typing import Annotated

import typer

from ridgepoint.cli import request, training
from ridgepoint.cli.output import Busy, JsonFlag
from ridgepoint.deploy.runtimes import DEFAULT


def fit(
    context: typer.Context,
    data: request.Data,
    latency: request.Latency,
    device: request.Device = "host",
    runtime: request.Runtime = DEFAULT,
    threads: request.Threads = 1,
    time: request.Time = None,
    evaluations: request.Evaluations = None,
    method: Annotated[str, typer.Option(help="How to search: auto, or a method of `search`.")] = "auto",
    space: Annotated[
        str | None, typer.Option(help="A search space, or a network to start from.  [default: by size]")
    ] = None,
    recipe: request.Recipe = None,
    changes: request.Changes = None,
    size: request.Size = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights that zoo networks may start from: .safetensors, .pth, or a hub id."),
    ] = None,
    baselines: request.Baselines = 3,
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
    """Find, train and export the most accurate network that meets a latency budget on this device.

    Example: ridgepoint fit photos/ --latency 5ms
    """
    request.carry_out(**locals())
