"""What a user asks of `train`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ridgepoint.run.settings import Above0, AtLeast0, AtLeast1, Request, typed


class TrainSettings(Request, frozen=True, kw_only=True):
    """One request; written into the run folder and read back by a resume.

    Beside a CPU, `workers` change its speed alone, while a GPU's own batches differ from theirs by rounding.
    """

    verb: Literal["train"] = "train"
    model: Annotated[str, typed(place=True, help="A zoo name or a network YAML file.")]
    data: Annotated[str, typed(place=True, help="As for fit: class folders, 'digits', a torchvision name.")]
    recipe: Annotated[str | None, typed(place=True, help="By name or YAML file.  [default: by size]")] = None
    changes: Annotated[dict[str, Any], typed("--set", help="Change a field of the recipe.")] = msgspec.field(
        default_factory=dict
    )
    weights: Annotated[
        str | None,
        typed(
            place=True,
            help="Start from: auto (the network's published weights, if they can be had), none, a tag of `ridgepoint "
            "weights`, a .safetensors or .pth file, a hub id, a training's folder; recipe: finetune.  [default: none]",
        ),
    ] = None
    time_s: Annotated[
        Above0 | None,
        typed("--time", unit="s", help="Train so long.  [default: the recipe's epochs]"),
    ] = None
    size: Annotated[
        AtLeast1 | None,
        typed(held=False, help="Input size in pixels.  [default: from the images]"),
    ] = None
    seed: Annotated[AtLeast0, typed(help="Of split, weights, order and augmentation.")] = 0
    workers: Annotated[AtLeast0, typed(help="Processes that prepare batches ahead.")] = 0
    accelerator: Annotated[
        str, typed(help="Where training computes: cpu, cuda, or auto, a GPU where there is one.")
    ] = "auto"
    data_root: Annotated[str | None, typed(place=True, path=True, help="Where torchvision data sets lie or go.")] = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Network and data."""
        return ("model", "data")

    @property
    def stem(self) -> str:
        """The network's name."""
        return Path(self.model).stem
