"""What a user asks of `distill`."""

from typing import Annotated, Literal

import msgspec

from ridgepoint.run.settings import AtLeast1, typed
from ridgepoint.train.settings import TrainSettings


class DistillSettings(TrainSettings, frozen=True, kw_only=True):
    """One request, beyond what `train` is asked."""

    verb: Literal["distill"] = "distill"  # type: ignore[assignment]
    teacher: Annotated[
        str,
        typed(
            place=True,
            help="A training's folder, an exported file, or a network with weights: NAME@FILE (or @auto, or @TAG of "
            "`ridgepoint weights`), timm:NAME@FILE, torchvision:NAME@FILE.",
        ),
    ]
    mixture: Annotated[
        str,
        typed(
            help="Sets and weights. D1: Inception crop and RandAugment; D2: Inception crop and mixup; D3: the images "
            "of --extra, classes balanced."
        ),
    ] = "D1:1,D2:1"
    extra: Annotated[str | None, typed(place=True, help="D3: a folder of class folders, the data's classes.")] = None
    replicas: Annotated[
        AtLeast1 | None, typed(help="Views of each image.  [default: the recipe's epochs, at most 10]")
    ] = None
    topk: Annotated[AtLeast1 | None, typed(help="Classes kept of each answer.  [default: all]")] = None
    temperature: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=100)], typed(help="Of the softmax of both, above 0.")
    ] = 1.0
    hard: Annotated[bool, typed(help="The teacher's best class teaches EfficientFormer's second head.")] = False
    online: Annotated[bool, typed(help="Ask the teacher at every step; store nothing.")] = False
    store: Annotated[
        str | None,
        typed(place=True, path=True, help="Where the answers are kept, for other students too.  [default: in the run]"),
    ] = None
