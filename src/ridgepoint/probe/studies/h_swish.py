"""h-swish in the first and in the second half of MobileNetV3."""

import msgspec

from ridgepoint.arch.layer import ActivationKind
from ridgepoint.arch.network import Network, Stage
from ridgepoint.arch.zoo import load
from ridgepoint.probe.changes import naive_hard_swish
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.variant import body

_TABLE = "MobileNetV3, arXiv:1905.02244, Table 5"
_PUBLISHED = load("mobilenetv3_large_100")  # rows that name an activation are the first half, all ReLU


def _with(first: ActivationKind, second: ActivationKind) -> Network:
    """MobileNetV3-Large with one activation in its first half and one in its second half and stem."""
    stages = tuple(
        Stage(
            blocks=tuple(
                msgspec.structs.replace(block, activation=first) if getattr(block, "activation", None) else block
                for block in stage.blocks
            )
        )
        for stage in _PUBLISHED.stages
    )
    conventions = msgspec.structs.replace(_PUBLISHED.conventions, activation=second)
    return msgspec.structs.replace(_PUBLISHED, conventions=conventions, stages=stages)


STUDY = Study(
    name="h_swish",
    title="Where in a network may h-swish stand?",
    about="MobileNetV3-Large without its head: ReLU everywhere; h-swish only where the paper has it, in the second "
    "half (from 80 channels) and in the stem; only in the first half; everywhere. As one operator and as naive "
    "composition.",
    source="MobileNetV3, arXiv:1905.02244, section 5.2 and Table 5",
    variants={
        "ReLU": body(_with("relu", "relu")),
        "h-swish in the second half": body(_PUBLISHED),
        "h-swish in the first half": body(_with("hard_swish", "relu")),
        "h-swish everywhere": body(_with("hard_swish", "hard_swish")),
        "naive h-swish in the second half": body(_PUBLISHED, naive_hard_swish),
        "naive h-swish everywhere": body(_with("hard_swish", "hard_swish"), naive_hard_swish),
    },
    published=(
        Published(
            "Pixel 1, TFLite, whole network",
            _TABLE,
            {
                "ReLU": 50.5,
                "h-swish in the second half": 51.4,
                "h-swish everywhere": 53.5,
                "naive h-swish in the second half": 57.5,
                "naive h-swish everywhere": 68.9,
            },
        ),
    ),
    findings=(
        Finding(
            claim="In the second half h-swish costs next to nothing.",
            over="h-swish in the second half",
            under="ReLU",
            at_most=1.05,
        ),
        Finding(
            claim="Everywhere it is slower than in the second half alone.",
            over="h-swish everywhere",
            under="h-swish in the second half",
            at_least=SLOWER,
        ),
        Finding(
            claim="In the first half it costs more than in the second.",
            over="h-swish in the first half",
            under="h-swish in the second half",
            at_least=SLOWER,
        ),
        Finding(
            claim="As a naive composition it is slow even in the second half.",
            over="naive h-swish in the second half",
            under="ReLU",
            at_least=SLOWER,
        ),
        Finding(
            claim="As a naive composition it is slower everywhere than in the second half.",
            over="naive h-swish everywhere",
            under="naive h-swish in the second half",
            at_least=SLOWER,
        ),
    ),
)
