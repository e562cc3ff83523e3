"""Resolution and strength of augmentation that grow while a training goes on."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from ridgepoint.arch.layer import Layer
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.scale import total_stride
from ridgepoint.data import Augmentation, Preprocessing
from ridgepoint.data import build as build_augmentation
from ridgepoint.errors import InputError
from ridgepoint.train.schedule import Share

if TYPE_CHECKING:
    from ridgepoint.data.augment import Augment

MULTIPLE = 8  # of pixels; networks of a larger total stride round up themselves


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a training, until the next phase begins.

    Attributes:
        start: When, as a share of the training.
        resolution: Share of the network's input size, rounded to a multiple of 8 px.
        strength: What the augmentation policy's strength is multiplied by.

    Source: MobileOne, arXiv:2206.04040, section 4 (progressive learning, after EfficientNetV2, arXiv:2104.00298).
    """

    start: Share
    resolution: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    strength: Share = 1.0

    def at(self, preprocessing: Preprocessing) -> Preprocessing:
        """The preprocessing at this phase's resolution."""
        if self.resolution == 1.0:
            return preprocessing
        height, width = (
            max(MULTIPLE, MULTIPLE * round(self.resolution * side / MULTIPLE))
            for side in (preprocessing.height, preprocessing.width)
        )
        return msgspec.structs.replace(preprocessing, height=height, width=width)


WHOLE = Phase(start=0.0)


def expect_sizes(network: Network, phases: Sequence[Phase], preprocessing: Preprocessing) -> None:
    """Make sure that a network has the same layers for the images of every phase.

    Raises:
        InputError: If it has not, as where a map is brought to whole patches at some sizes alone.
    """
    for phase in phases:
        at = phase.at(preprocessing)
        if _kinds(network.at(height=at.height, width=at.width)) != _kinds(network):
            raise InputError(
                f"curriculum: {network.name} has other layers for images of {at.height} x {at.width} than for its own "
                f"{network.input[1]} x {network.input[2]}, and cannot learn from both. Give resolutions at which both "
                f"sides are multiples of {2 * total_stride(network)} px, or leave the curriculum out: "
                "--set 'curriculum=[]'"
            )


def _kinds(network: Network) -> list[type[Layer]]:
    return [type(placed.layer) for block in place_blocks(network) for placed in block.layers]


def augmentation_by_progress(
    phases: Sequence[Phase], augmentation: Augmentation, preprocessing: Preprocessing
) -> Callable[[float], "Augment"]:
    """From the share of the training that is done to the augmentation of that phase; before the first, everything."""
    built = [(phase.start, build_augmentation(augmentation.times(phase.strength), phase.at(preprocessing)))
             for phase in sorted((WHOLE, *phases), key=lambda phase: phase.start)]  # fmt: skip
    return lambda progress: next(augment for start, augment in reversed(built) if progress >= start)
