"""Reshapes between 4D maps and 3D tokens."""

from ridgepoint.arch.layer import Activation, Conv2d, Linear, ToMap, ToTokens
from ridgepoint.arch.recipe import Recipe, chain
from ridgepoint.arch.shape import Shape
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant, of_recipe

_CHANNELS, _PAIRS = 224, 6
_CONV = chain(
    conv=Conv2d(in_channels=_CHANNELS, out_channels=_CHANNELS, bias=True),
    act=Activation(kind="gelu"),
)
_LINEAR = chain(
    linear=Linear(in_features=_CHANNELS, out_features=_CHANNELS),
    act=Activation(kind="gelu"),
)


def _stack(*parts: Recipe) -> Variant:
    return of_recipe(chain(**{f"part{index}": part for index, part in enumerate(parts)}), Shape(_CHANNELS, 14, 14))


_IN_TURN: list[Recipe] = [_CONV, ToTokens(), _LINEAR, ToMap()]

STUDY = Study(
    name="reshapes",
    title="What do reshapes between maps and tokens cost?",
    about="Twelve layers that mix 224 channels at 14x14, each followed by GELU: all 1x1 convolutions of a map, all "
    "linear layers over tokens, or one and the other in turn with a reshape in between.",
    source="EfficientFormer, arXiv:2206.01191, section 3, observation 2",
    variants={
        "4D throughout": _stack(*[_CONV] * 2 * _PAIRS),
        "3D throughout": _stack(ToTokens(), *[_LINEAR] * 2 * _PAIRS),
        "4D and 3D in turn": _stack(*_IN_TURN * _PAIRS),
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
