"""Images mixed in pairs: mixup and CutMix, torchvision's."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from torch import Tensor

from ridgepoint.train.schedule import Share

Alpha = Annotated[float, msgspec.Meta(ge=0)]


class Mixing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and how strongly the images of a batch are mixed with each other.

    Attributes:
        mixup: Shape of the Beta distribution of mixup's shares; 0 is off.
        cutmix: The same of CutMix.
        probability: That a batch is mixed at all.
        switch: That a mixed batch is CutMix, where both are on.

    Source: arXiv:1710.09412 (mixup), arXiv:1905.04899 (CutMix). One share for a whole batch, as torchvision draws it.
    """

    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0
    probability: Share = 1.0
    switch: Share = 0.5

    @property
    def on(self) -> bool:
        """Whether any image is mixed with another."""
        return max(self.mixup, self.cutmix) > 0

    def build(self, num_classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """From float images and class indices to mixed images and probabilities; draws from torch's generator.

        An image is mixed with the one before it in the batch, the first one with the last.
        """
        from torchvision.transforms import v2

        kinds = [
            (kind(alpha=alpha, num_classes=num_classes), weight)
            for kind, alpha, weight in ((v2.MixUp, self.mixup, 1 - self.switch), (v2.CutMix, self.cutmix, self.switch))
            if alpha
        ]
        mixed = v2.RandomChoice([kind for kind, _ in kinds], p=[weight for _, weight in kinds])
        applied: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = v2.RandomApply([mixed], p=self.probability)
        return applied
