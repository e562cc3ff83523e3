"""What the verbs that train share: their options, and what they say at the end."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.ending import tell_training
from ridgepoint.cli.output import emit_json, write_report

Model = Annotated[str, typer.Argument(help="A zoo name or a network YAML file.")]
Data = Annotated[str, typer.Argument(help="As for fit: class folders, 'digits', a torchvision name.")]
RecipeName = Annotated[str | None, typer.Option("--recipe", help="By name or YAML file.  [default: by size]")]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")]
Weights = Annotated[
    str | None, typer.Option("--weights", help="Start from a .safetensors or .pth file, or a hub id; recipe: finetune.")
]
Time = Annotated[str | None, typer.Option("--time", help="Train so long.  [default: the recipe's epochs]")]
Size = Annotated[int | None, typer.Option("--size", help="Input size in pixels.  [default: from the images]")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of split, weights, order and augmentation.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare batches ahead.")]
AcceleratorName = Annotated[
    str, typer.Option("--accelerator", help="Where training computes: cpu, cuda, or auto, a GPU where there is one.")
]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Where torchvision data sets lie or go.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run folder.  [default: the next free under runs/]")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]


def tell(result: dict[str, Any], *, json_output: bool) -> None:
    """The end of a training, for people or as JSON; with its page."""
    write_report(Path(result["run"]))
    if json_output:
        emit_json(result)
    else:
        tell_training(Path(result["run"]))
