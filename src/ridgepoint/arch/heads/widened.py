"""FastViT's head."""

from ridgepoint.arch.blocks.fastvit import WIDEN
from ridgepoint.arch.blocks.mobileone import rep_unit
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import HeadBase
from ridgepoint.arch.layer import Dropout, GlobalPool, Linear, ToVector
from ridgepoint.arch.recipe import Recipe, chain
from ridgepoint.arch.roles import NormsAt
from ridgepoint.arch.shape import Shape


class WidenedHead(HeadBase, frozen=True, tag="widened"):
    """A re-parameterisable 3x3 depthwise unit of two outputs a channel with squeeze-excitation, pool, classifier.

    Source: FastViT, arXiv:2303.14189, and its released code; QARepVGG, arXiv:2212.01593, for `norms: sum`.
    """

    norms: NormsAt = "branches"

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape."""
        channels, wide = shape.channels, WIDEN * shape.channels
        return chain(
            unit=rep_unit(channels, wide, conventions, 1, kernel=3, groups=channels, se=True, norms=self.norms),
            pool=GlobalPool(),
            flatten=ToVector(),
            dropout=Dropout(),
            classifier=Linear(in_features=wide, out_features=num_classes),
        )
