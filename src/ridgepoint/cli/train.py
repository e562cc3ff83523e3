"""`ridgepoint train`: one network on one data set, by a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, emit_json


def train(
    model: Annotated[str, typer.Argument(help="A zoo name or a network YAML file.")],
    data: Annotated[str, typer.Argument(help="As for fit: class folders, 'digits', a torchvision name.")],
    recipe: Annotated[str | None, typer.Option(help="By name or YAML file.  [default: by size]")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Start from a .safetensors or .pth file, or a hub id; recipe: finetune.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Train so long.  [default: the recipe's epochs]")] = None,
    size: Annotated[int | None, typer.Option(help="Input size in pixels.  [default: from the images]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights, order and augmentation.")] = 0,
    data_root: Annotated[Path | None, typer.Option(help="Where torchvision data sets lie or go.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.  [default: the next free under runs/train]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Train a network and say its accuracy on images that the training did not see.

    Example: ridgepoint train mobilenetv3_small_050 photos/ --set epochs=20
    """
    from ridgepoint.units import parse_seconds

    time_s = None if time is None else parse_seconds(time, what="--time", default_unit="s")

    from ridgepoint.cli.live import Live
    from ridgepoint.fit.training import TrainSettings, run_training
    from ridgepoint.train.recipe import parse_changes

    settings = TrainSettings(
        model=model,
        data=data,
        recipe=recipe,
        changes=parse_changes(changes or []),
        weights=weights,
        time_s=time_s,
        size=size,
        seed=seed,
        data_root=None if data_root is None else str(data_root),
    )
    result = run_training(settings, out=out, resume=resume, display=Live())
    if json_output:
        emit_json(result)
        return
    typer.echo(
        f"{result['model']}: test accuracy {result['accuracy']['test']:.4f} on {result['counts']['test']} images, "
        f"validation {result['accuracy']['val']:.4f}, {result['steps']} steps in {result['train_s']:.0f} s"
    )
    typer.echo(f"{result['run']}: weights, metrics, result.json; export it with: ridgepoint export {result['run']}")
