"""`ridgepoint distill`: one network learns what a teacher says to its own views of the images."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli import training
from ridgepoint.cli.asked import asked
from ridgepoint.cli.output import JsonFlag


def distill(
    context: typer.Context,
    model: training.Model,
    data: training.Data,
    teacher: Annotated[
        str,
        typer.Option(
            help="A training's folder, an exported file, or a network with weights: NAME@FILE, timm:NAME@FILE, "
            "torchvision:NAME@FILE."
        ),
    ],
    mixture: Annotated[
        str,
        typer.Option(
            help="Sets and weights. D1: Inception crop and RandAugment; D2: Inception crop and mixup; D3: the images "
            "of --extra, classes balanced."
        ),
    ] = "D1:1,D2:1",
    extra: Annotated[str | None, typer.Option(help="D3: a folder of class folders, the data's classes.")] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, help="Views of each image.  [default: the recipe's epochs, at most 10]")
    ] = None,
    topk: Annotated[int | None, typer.Option(min=1, help="Classes kept of each answer.  [default: all]")] = None,
    temperature: Annotated[float, typer.Option(help="Of the softmax of both, above 0.")] = 1.0,
    hard: Annotated[
        bool, typer.Option("--hard", help="The teacher's best class teaches EfficientFormer's second head.")
    ] = False,
    online: Annotated[bool, typer.Option("--online", help="Ask the teacher at every step; store nothing.")] = False,
    store: Annotated[
        Path | None, typer.Option(help="Where the answers are kept, for other students too.  [default: in the run]")
    ] = None,
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
    """Train a network by a teacher, which is asked once about every view of the images and then no more.

    The mixture decides crops and augmentation: those of the recipe, its mixing and its curriculum are not used.

    Example: ridgepoint distill mobilenetv4_conv_small photos/ --teacher runs/train/resnet --mixture D1:1,D2:1
    """
    from ridgepoint.units import parse_seconds

    time_s = None if time is None else parse_seconds(time, what="--time", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.distill.run import make_distill_settings, run_distillation
    from ridgepoint.train.recipe import parse_changes

    settings = make_distill_settings(
        model=model,
        data=data,
        teacher=teacher,
        mixture=mixture,
        extra=extra,
        replicas=replicas,
        topk=topk,
        temperature=temperature,
        hard=hard,
        online=online,
        store=None if store is None else str(store),
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
    result = run_distillation(settings, out=out, resume=resume, asked=asked(context), display=Live())
    training.tell(result, json_output=json_output)
