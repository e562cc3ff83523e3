"""Dense, group and depthwise convolutions at equal MACs."""

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.recipe import chain
from ridgepoint.arch.shape import Shape
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant, of_recipe

_LAYERS = 6


def _stack(channels: int, groups: int) -> Variant:
    layer = Conventions().conv(channels, channels, kernel=3, groups=groups, activation="relu")
    return of_recipe(chain(**{f"layer{index}": layer for index in range(_LAYERS)}), Shape(channels, 28, 28))


STUDY = Study(
    name="groups",
    title="What do group and depthwise convolutions cost at equal MACs?",
    about="Six 3x3 convolutions at 28x28 with the same MACs: dense with 32 channels, 4 groups with 64, 16 groups with "
    "128, depthwise with 1024.",
    source="MobileNetV4, arXiv:2404.10518, section 3: where bytes are dear, depthwise convolutions are",
    variants={
        "the dense stack": _stack(32, 1),
        "the stack in 4 groups": _stack(64, 4),
        "the stack in 16 groups": _stack(128, 16),
        "the depthwise stack": _stack(1024, 1024),
    },
    findings=tuple(
        Finding(claim=claim, over=over, under="the dense stack", at_least=SLOWER, ours="groups" in over)
        for over, claim in {
            "the stack in 4 groups": "At equal MACs 4 groups are slower than a dense convolution.",
            "the stack in 16 groups": "At equal MACs 16 groups are slower than a dense convolution.",
            "the depthwise stack": "At equal MACs a depthwise convolution is slower than a dense one.",
        }.items()
    ),
)
