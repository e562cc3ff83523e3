"""The networks that calibration times: chains of any blocks, drawn from `calibration.yaml`, and members of spaces.

Most chains are short, so that single passes can be told apart; some begin with an image and a stem, and some of those
are as long as networks, in which weights come from farther away. A quarter are random members of the packaged search
spaces at random sizes: what follows what, and how wide it is there, is as in networks that people search. None is of
the zoo.
"""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.classification import TokenHead
from ridgepoint.arch.network import Network, Stage
from ridgepoint.arch.roles import OUT
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.cost.count import count_part
from ridgepoint.documents import read_document
from ridgepoint.errors import ArchitectureError


class Kind(NamedTuple):
    """A kind of chain: whether it begins with an image and a stem, and the least and most blocks after that."""

    name: str
    image: bool
    least: int
    most: int


CHAIN, STEM, WHOLE = Kind("chain", False, 1, 5), Kind("stem", True, 0, 3), Kind("whole", True, 6, 24)
KINDS = (WHOLE, CHAIN, None, CHAIN, STEM, CHAIN, None, CHAIN)  # in turn; None is a member of a space
SPACES = (
    "efficientformerv2",
    "fastvit",
    "metaformer",
    "mobilenetv3",
    "mobilenetv4_conv",
    "mobilenetv4_hybrid",
    "mobileone",
    "proxylessnas",
    "repvit",
)
MEMBER_SIZES = (64, 96, 128, 160, 192, 224, 224, 256)
IMAGE_SIZES, STEM_CHANNELS = (64, 96, 128, 160, 192, 224, 224, 256, 288, 384), (8, 16, 24, 32, 48, 64)
KEPT_WIDTH = 0.5  # share of blocks without a stride that keep the width, as residual ones do
# What maps and blocks of networks have: channels times pixels of a side, pixels of a side, elements, MACs.
BREADTH, LEAST_SIDE, MOST_ELEMENTS, USUAL_MACS, MOST_MACS = (250, 16_000), 2, 4_000_000, 20e6, 800e6


def sample_network(number: int) -> Network:
    """The network of a number, the same in every process; any run of numbers is as good a sample as any other."""
    kind, rng = KINDS[number % len(KINDS)], np.random.default_rng(number)
    if kind is None:
        space = _searched()[rng.integers(len(_searched()))]
        member = space.sample(rng).at(height=int(rng.choice(MEMBER_SIZES)))
        return msgspec.structs.replace(member, name=f"member_{number}")
    while True:
        frame = _draw(_space(), rng)
        if kind.image:
            size = int(rng.choice(IMAGE_SIZES))
            frame = msgspec.structs.replace(frame, input=(3, size, size))
        elif not _usual(frame.input_shape):
            continue
        blocks, last = _chain(kind, frame, rng)
        head = frame.head if last.layout == "map" else TokenHead()
        return msgspec.structs.replace(frame, name=f"{kind.name}_{number}", stages=(Stage(blocks=blocks),), head=head)


def is_member(number: int) -> bool:
    """Whether the sample of a number is a network as people search them: a member of a space."""
    return KINDS[number % len(KINDS)] is None


def _chain(kind: Kind, frame: Network, rng: np.random.Generator) -> tuple[tuple[Block, ...], Shape]:
    """The blocks of a sample, and what the last one gives."""
    blocks: list[Block] = []
    shape = frame.input_shape
    if kind.image:
        blocks.append(Conv(out_channels=int(rng.choice(STEM_CHANNELS)), stride=2))
        shape = count_part(blocks[0], shape, frame.conventions, 1, True, "none").output
    for _ in range(rng.integers(kind.least, kind.most, endpoint=True)):
        block, shape = _next(shape, frame.conventions, rng)
        blocks.append(block)
    return tuple(blocks), shape


def _next(shape: Shape, conventions: Conventions, rng: np.random.Generator) -> tuple[Block, Shape]:
    """A block that can follow a shape, and what it gives; drawn again until both are as in networks."""
    space = _space().closed(input=[shape.channels, shape.height, shape.width], head={"head": "tokens"})
    while True:
        block = _draw(space, rng).stages[0].blocks[0]
        if block.reduction == 1 and block.sets_width and rng.random() < KEPT_WIDTH:
            block = msgspec.structs.replace(block, **dict.fromkeys(block.values(OUT), shape.channels))
        try:
            counted = count_part(block, shape, conventions, 1, True, "none")
        except ArchitectureError:  # a convolution of tokens
            continue
        elements = max(layer.write_elements for layer in counted.layers)
        if not _usual(counted.output) or elements > MOST_ELEMENTS or counted.macs > MOST_MACS:
            continue
        if rng.random() < USUAL_MACS / counted.macs:
            return block, counted.output


def _draw(space: Space, rng: np.random.Generator) -> Network:
    """A network of the space; blocks and heads that do not go together are drawn again."""
    while True:
        with suppress(ArchitectureError):
            return space.sample(rng)


def _usual(shape: Shape) -> bool:
    return BREADTH[0] <= shape.channels * shape.height <= BREADTH[1] and shape.height >= LEAST_SIDE


@lru_cache(maxsize=1)
def _searched() -> tuple[Space, ...]:
    return tuple([load_space(name) for name in SPACES])


@lru_cache(maxsize=1)
def _space() -> Space:
    return parse_space(read_document(Path(__file__).parent / "calibration.yaml"), source="calibration.yaml")
