"""Heads of classification: from the last stage's output to one number per class."""

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.base import HeadBase
from ridgepoint.arch.layer import (
    ActivationKind,
    Average,
    Dropout,
    GlobalPool,
    LayerNorm,
    Linear,
    ToTokens,
    ToVector,
)
from ridgepoint.arch.recipe import Parallel, Recipe, chain
from ridgepoint.arch.roles import Hidden
from ridgepoint.arch.shape import Shape


class PooledHead(HeadBase, frozen=True, tag="pooled"):
    """[1x1 convolution], global pool, [1x1 hidden layer on the pooled map], dropout, classifier.

    MobileNetV3's hidden layer has a bias and no norm, MobileNetV4's a norm and no bias, FBNetV3's neither:
    `hidden_bias` left open means a bias where there is no norm.

    Source: MobileNetV3, arXiv:1905.02244, section 5.1 ("efficient last stage").
    """

    conv_channels: Hidden | None = None
    hidden_channels: Hidden | None = None
    hidden_norm: bool = True
    activation: ActivationKind | None = None
    hidden_bias: bool | None = None

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape."""
        activation = self.activation or conventions.activation
        pooled = self.conv_channels or shape.channels
        features = self.hidden_channels or pooled
        bias = not self.hidden_norm if self.hidden_bias is None else self.hidden_bias
        return chain(
            conv=conventions.conv(shape.channels, pooled, activation=activation) if self.conv_channels else None,
            pool=GlobalPool(),
            hidden=conventions.conv(pooled, features, bias=bias, norm=self.hidden_norm, activation=activation)
            if self.hidden_channels
            else None,
            flatten=ToVector(),
            dropout=Dropout(),
            classifier=Linear(in_features=features, out_features=num_classes),
        )


class TokenHead(HeadBase, frozen=True, tag="tokens"):
    """Layer norm, mean over tokens, and one or two classifiers whose mean is the answer.

    Source: EfficientFormer, arXiv:2206.01191, section 4; the second classifier learns from a teacher.
    """

    distilled: bool = True

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape."""
        classifier = Linear(in_features=shape.channels, out_features=num_classes)
        return chain(
            to_tokens=ToTokens() if shape.layout == "map" else None,
            norm=LayerNorm(channels=shape.channels),
            pool=GlobalPool(),
            dropout=Dropout(),
            classifier=Parallel((("label", classifier), ("teacher", classifier)), Average())
            if self.distilled
            else classifier,
        )


class NormedHead(HeadBase, frozen=True, tag="normed"):
    """Global pool, and one or two classifiers, each behind a batch norm of its own; the mean of two is the answer.

    With `before_pool` there is one norm for all, of the map.

    Source: RepViT, arXiv:2307.09283, section 3.3, and its released code; EfficientFormerV2, arXiv:2212.08059, and
    StarNet, arXiv:2403.19967, have the norm before the pool.
    """

    distilled: bool = True
    before_pool: bool = False

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape."""
        linear = Linear(in_features=shape.channels, out_features=num_classes)
        norm = conventions.norm(shape.channels)
        classifier = linear if self.before_pool else chain(norm=norm, linear=linear)
        return chain(
            norm=norm if self.before_pool else None,
            pool=GlobalPool(),
            flatten=ToVector() if shape.layout == "map" else None,
            dropout=Dropout(),
            classifier=Parallel((("label", classifier), ("teacher", classifier)), Average())
            if self.distilled
            else classifier,
        )
