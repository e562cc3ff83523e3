"""Norms of single images that no convolution takes in, beside the layer norm of `layer.py`."""

from ridgepoint.arch.layer import Layer
from ridgepoint.arch.shape import Shape


class GroupNorm(Layer, frozen=True):
    """Normalisation over all channels and positions of a map together; nothing folds it.

    Source: arXiv:1803.08494, with one group.
    """

    channels: int
    eps: float = 1e-5

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect("map", by="a group norm")
        inputs[0].expect_channels(self.channels, by="a group norm")
        return inputs[0]

    def params(self) -> int:
        """A gain and a bias per channel."""
        return 2 * self.channels


class ResponseNorm(Layer, frozen=True):
    """Each channel times how strong it is, over the whole map, against the others; plus the input.

    Source: ConvNeXt V2, arXiv:2301.00808, section 3.2.
    """

    channels: int
    eps: float = 1e-6

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect("map", by="a response norm")
        inputs[0].expect_channels(self.channels, by="a response norm")
        return inputs[0]

    def params(self) -> int:
        """A gain and a bias per channel."""
        return 2 * self.channels


class RmsNorm(Layer, frozen=True):
    """Each position divided by the root mean square of its channels, times a gain; nothing folds it.

    Source: arXiv:1910.07467, equation 4.
    """

    channels: int
    eps: float = 1e-6

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect_channels(self.channels, by="an RMS norm")
        return inputs[0]

    def params(self) -> int:
        """A gain per channel."""
        return self.channels
