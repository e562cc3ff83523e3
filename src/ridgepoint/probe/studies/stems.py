"""Patch embedding: one large kernel with a large stride, or a chain of 3x3 convolutions with stride 2."""

from torch import nn

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant, body


def _stem(*rows: Block) -> Network:
    return Network(name="stem", input=(3, 224, 224), stem=rows, stages=())


def _strided(*channels: int) -> Network:
    return _stem(*(Conv(out_channels=width, stride=2) for width in channels))


STUDY = Study(
    name="stems",
    title="Large-kernel patch embedding or small strided convolutions?",
    about="From 3x224x224 to 48x56x56 and to 384x14x14: one convolution with kernel 7 and stride 4, or 16 and 16; "
    "two or four 3x3 convolutions with stride 2.",
    source="EfficientFormer, arXiv:2206.01191, section 3, observation 1",
    variants={
        "the 7x7 embedding": body(_stem(Conv(out_channels=48, kernel=7, stride=4, activation="none"))),
        "the pair of 3x3": body(_strided(24, 48)),
        "the 16x16 embedding": Variant(lambda: nn.Conv2d(3, 384, 16, stride=16), Shape(3, 224, 224)),
        "the chain of four 3x3": body(_strided(48, 96, 192, 384)),
    },
    findings=(
        Finding(
            claim="A 7x7 patch embedding is slower.", over="the 7x7 embedding", under="the pair of 3x3", at_least=SLOWER
        ),
        Finding(
            claim="A 16x16 one is slower.", over="the 16x16 embedding", under="the chain of four 3x3", at_least=SLOWER
        ),
        Finding(
            claim="Large kernels are badly supported: a MAC of a 7x7 one takes longer.",
            over="the 7x7 embedding",
            under="the pair of 3x3",
            at_least=SLOWER,
            quantity="time per MAC",
        ),
        Finding(
            claim="Large kernels are badly supported: a MAC of a 16x16 one takes longer.",
            over="the 16x16 embedding",
            under="the chain of four 3x3",
            at_least=SLOWER,
            quantity="time per MAC",
        ),
    ),
)
