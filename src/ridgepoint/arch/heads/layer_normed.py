"""Heads with a layer norm of the pooled map."""

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import HeadBase
from ridgepoint.arch.layer import Activation, ActivationKind, Dropout, GlobalPool, LayerNorm, Linear, ToVector
from ridgepoint.arch.recipe import Recipe, chain
from ridgepoint.arch.roles import Hidden
from ridgepoint.arch.shape import Shape


class LayerNormedHead(HeadBase, frozen=True, tag="layer_normed"):
    """[1x1 convolution], global pool, [hidden layer without bias], layer norm, [activation], classifier.

    Source: EfficientViT, arXiv:2205.14756, with a hidden layer; ConvNeXt, arXiv:2201.03545, without.
    """

    conv_channels: Hidden | None = None
    hidden_channels: Hidden | None = None
    activation: ActivationKind | None = None

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape."""
        activation = self.activation or conventions.activation
        pooled = self.conv_channels or shape.channels
        features = self.hidden_channels or pooled
        return chain(
            conv=conventions.conv(shape.channels, pooled, activation=activation) if self.conv_channels else None,
            pool=GlobalPool(),
            flatten=ToVector() if shape.layout == "map" else None,
            hidden=Linear(in_features=pooled, out_features=features, bias=False) if self.hidden_channels else None,
            norm=LayerNorm(channels=features, eps=conventions.norm_eps),
            act=Activation(kind=activation) if self.hidden_channels else None,
            dropout=Dropout(),
            classifier=Linear(in_features=features, out_features=num_classes),
        )
