"""Augmentation policies: random chains of colour and geometry operations, torchvision's, one image at a time.

Shapes: C channels, H height, W width. Draws are from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    import torch

    Transform = Callable[[torch.Tensor], torch.Tensor]

_FINE = 10  # steps of magnitude in torchvision's tables to one of ours


class RandAugment(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="randaugment"
):
    """Operations drawn evenly from a list of fourteen.

    Attributes:
        operations: How many are tried on an image.
        probability: That a tried one is done.
        magnitude: Their strength on the scale of TensorFlow and timm, 0 to 10.
        magnitude_std: Spread of the strength from one to the next; the result stays within 0 and 10.

    Source: RandAugment, arXiv:1909.13719.
    """

    operations: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    magnitude: Annotated[float, msgspec.Meta(ge=0, le=10)] = 9.0
    magnitude_std: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0

    def times(self, strength: float) -> RandAugment:
        """The policy with its magnitude multiplied."""
        return msgspec.structs.replace(self, magnitude=self.magnitude * strength)

    def build(self) -> Transform:
        """From uint8 (C, H, W) to the same shape."""
        import torch
        from torchvision.transforms import v2

        operation = v2.RandAugment(num_ops=1, num_magnitude_bins=10 * _FINE + 1)

        def transform(image_CHW: torch.Tensor) -> torch.Tensor:
            for _ in range(self.operations):
                done, spread = torch.rand(()).item() < self.probability, torch.randn(()).item()
                if done:
                    magnitude = min(max(self.magnitude + self.magnitude_std * spread, 0.0), 10.0)
                    operation.magnitude = round(_FINE * magnitude)
                    image_CHW = operation(image_CHW)
            return image_CHW

        return transform


class AutoAugment(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="autoaugment"
):
    """One of the pairs of operations that were learnt for a data set.

    Attributes:
        policy: The data set.
        probability: That an image is varied.

    Source: AutoAugment, arXiv:1805.09501.
    """

    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0

    def times(self, strength: float) -> AutoAugment:
        """The policy with its probability multiplied, for its magnitudes are fixed."""
        return msgspec.structs.replace(self, probability=self.probability * strength)

    def build(self) -> Transform:
        """From uint8 (C, H, W) to the same shape."""
        from torchvision.transforms import v2

        applied: Transform = v2.RandomApply([v2.AutoAugment(v2.AutoAugmentPolicy(self.policy))], p=self.probability)
        return applied


Policy: TypeAlias = RandAugment | AutoAugment
