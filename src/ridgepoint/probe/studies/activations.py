"""Activations in a 30-layer network."""

from ridgepoint.probe.changes import naive_hard_swish
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.thirty_layers import thirty_layers
from ridgepoint.probe.variant import body

STUDY = Study(
    name="activations",
    title="Which activation is cheap?",
    about="The same 30 convolutions with another activation after each; SE-ReLU has squeeze-excitation "
    "before each ReLU.",
    source="MobileOne, arXiv:2206.04040, section 3.1; EfficientFormer, arXiv:2206.01191, section 3",
    variants={
        "ReLU": body(thirty_layers("relu")),
        "ReLU6": body(thirty_layers("relu6")),
        "h-sigmoid": body(thirty_layers("hard_sigmoid")),
        "GELU": body(thirty_layers("gelu")),
        "SiLU": body(thirty_layers("silu")),
        "h-swish": body(thirty_layers("hard_swish")),
        "naive h-swish": body(thirty_layers("hard_swish"), naive_hard_swish),
        "SE-ReLU": body(thirty_layers("relu", se=True)),
    },
    published=(
        Published(
            "iPhone 12, Core ML",
            "MobileOne, Table 2",
            {"ReLU": 1.53, "GELU": 1.63, "SE-ReLU": 2.10, "SiLU": 2.54},
        ),
        Published("iPhone 12, Core ML, LeViT-256", "EfficientFormer, section 3", {"GELU": 11.9, "h-swish": 44.5}),
        Published(
            "Pixel 1, TFLite, MobileNetV3-Large", "MobileNetV3, Table 5", {"naive h-swish": 57.5, "h-swish": 51.4}
        ),
    ),
    findings=(
        Finding(claim="GELU is about as fast as ReLU.", over="GELU", under="ReLU", at_most=1.1),
        Finding(claim="SiLU is slower than ReLU.", over="SiLU", under="ReLU", at_least=SLOWER),
        Finding(claim="SE-ReLU is slower than ReLU.", over="SE-ReLU", under="ReLU", at_least=SLOWER),
        Finding(claim="SiLU is slower than SE-ReLU.", over="SiLU", under="SE-ReLU", at_least=SLOWER),
        Finding(claim="h-swish is slower than GELU.", over="h-swish", under="GELU", at_least=SLOWER),
        Finding(
            claim="h-swish as one operator saves time over the naive composition.",
            over="naive h-swish",
            under="h-swish",
            at_least=SLOWER,
        ),
    ),
)
