"""`ridgepoint train`: one network on one data set, by a recipe."""

import typer

from ridgepoint.cli import training
from ridgepoint.cli.asked import asked
from ridgepoint.cli.output import JsonFlag


def train(
    context: typer.Context,
    model: training.Model,
    data: training.Data,
    recipe: training.RecipeName = None,
    changes: training.Changes = None,
    weights: training.Weights = None,
    time: training.Time = None,
    size: training.Size = None,
    seed: training.Seed = 0,
    workers: training.Workers = 0,
    accelerator: training.AcceleratorName = "auto",
    data_root: training.DataRoot = None,
    out: training.Out = None,
    resume: training.Resume = False,
    json_output: JsonFlag = False,
) -> None:
    """Train a network and say its accuracy on images that the training did not see.

    Several processes share a training where torchrun starts them: torchrun --nproc-per-node 2 -m ridgepoint train ...
    That is for the CPUs of several machines: on the cores of one, the threads of a single process are faster.

    Example: ridgepoint train mobilenetv3_small_050 photos/ --set epochs=20
    """
    from ridgepoint.units import parse_seconds

    time_s = None if time is None else parse_seconds(time, what="--time", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.display import Silent
    from ridgepoint.run.settings import request
    from ridgepoint.tasks.reading import read
    from ridgepoint.train.processes import joined_by_torchrun
    from ridgepoint.train.recipe import parse_changes
    from ridgepoint.train.run import TrainSettings, run_training

    values = dict(
        model=model,
        data=data,
        recipe=recipe,
        changes=parse_changes(changes or []),
        weights=weights,
        time_s=time_s,
        size=size,
        seed=seed,
        workers=workers,
        accelerator=accelerator,
        data_root=None if data_root is None else str(data_root),
    )
    settings = request(TrainSettings, "train", values)
    with joined_by_torchrun() as processes:
        display = Live() if processes.first else Silent()
        result = run_training(settings, read=read, out=out, resume=resume, asked=asked(context), display=display)
    if processes.first:
        training.tell(result, json_output=json_output)
