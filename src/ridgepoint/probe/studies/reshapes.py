"""Reshapes between 4D maps and 3D tokens."""

from torch import nn

from ridgepoint.arch.shape import Shape
from ridgepoint.nn import layers
from ridgepoint.probe.changes import ToMap
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant

_SHAPE, _PAIRS = Shape(224, 14, 14), 6


def _conv() -> list[nn.Module]:
    return [nn.Conv2d(_SHAPE.channels, _SHAPE.channels, 1), nn.GELU()]


def _linear() -> list[nn.Module]:
    return [nn.Linear(_SHAPE.channels, _SHAPE.channels), nn.GELU()]


def _to_tokens() -> nn.Module:
    return layers.ToTokens(layers.Grid())


def _to_map() -> nn.Module:
    return ToMap(_SHAPE.height, _SHAPE.width)


STUDY = Study(
    name="reshapes",
    title="What do reshapes between maps and tokens cost?",
    about="Twelve layers that mix 224 channels at 14x14, each followed by GELU: all 1x1 convolutions of a map, all "
    "linear layers over tokens, or one and the other in turn with a reshape in between.",
    source="EfficientFormer, arXiv:2206.01191, section 3, observation 2",
    variants={
        "4D throughout": Variant(lambda: nn.Sequential(*(part for _ in range(2 * _PAIRS) for part in _conv())), _SHAPE),
        "3D throughout": Variant(
            lambda: nn.Sequential(_to_tokens(), *(part for _ in range(2 * _PAIRS) for part in _linear())), _SHAPE
        ),
        "4D and 3D in turn": Variant(
            lambda: nn.Sequential(
                *(part for _ in range(_PAIRS) for part in [*_conv(), _to_tokens(), *_linear(), _to_map()])
            ),
            _SHAPE,
        ),
    },
    groups={"one layout throughout": ("4D throughout", "3D throughout")},
    findings=(
        Finding(
            claim="Frequent reshapes cost time; consistent dimensions do not.",
            over="4D and 3D in turn",
            under="one layout throughout",
            at_least=SLOWER,
        ),
    ),
)
