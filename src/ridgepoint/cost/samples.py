"""The networks that calibration times: chains of any blocks, drawn from `calibration.yaml`, and what people search.

Most chains are short, so that single passes can be told apart; some begin with an image and a stem, and some of those
are as long as networks, in which weights come from farther away. Half are as people search them, at random sizes: what
follows what, and how wide it is there, tells more than chains do of how a runtime puts passes together. A quarter are
members of the packaged search spaces, a quarter networks of the zoo at other widths than their own.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
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
from ridgepoint.arch.scale import scale_width
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost, count_part
from ridgepoint.documents import read_document
from ridgepoint.errors import ArchitectureError

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
WIDTHS = (0.4, 0.45, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.35)  # multipliers of a network of the zoo, which has others
IMAGE_SIZES, STEM_CHANNELS = (64, 96, 128, 160, 192, 224, 224, 256, 288, 384), (8, 16, 24, 32, 48, 64)
KEPT_WIDTH = 0.5  # share of blocks without a stride that keep the width, as residual ones do
# What maps and blocks of networks have: channels times pixels of a side, pixels of a side, elements, MACs.
BREADTH, LEAST_SIDE, MOST_ELEMENTS, USUAL_MACS, MOST_MACS = (250, 16_000), 2, 4_000_000, 20e6, 800e6


class Kind(NamedTuple):
    """A kind of sample: its name, how one is drawn, and whether it is as people search them."""

    name: str
    draw: Callable[[np.random.Generator], Network]
    searched: bool = False


def sample_network(number: int) -> Network:
    """The network of a number, the same in every process; any run of numbers is as good a sample as any other."""
    kind = _kinds()[number % len(_kinds())]
    return msgspec.structs.replace(kind.draw(np.random.default_rng(number)), name=f"{kind.name}_{number}")


def is_searched(network: Network) -> bool:
    """Whether a sample is a network as people search them, by its name."""
    return network.name.rpartition("_")[0] in {kind.name for kind in _kinds() if kind.searched}


@lru_cache(maxsize=1)
def _kinds() -> tuple[Kind, ...]:
    """In turn."""
    chain = Kind("chain", partial(_chained, image=False, least=1, most=5))
    stem = Kind("stem", partial(_chained, image=True, least=0, most=3))
    whole = Kind("whole", partial(_chained, image=True, least=6, most=24))
    member, scaled = Kind("member", _member, searched=True), Kind("scaled", _scaled, searched=True)
    return (whole, chain, member, scaled, stem, chain, member, scaled)


def _member(rng: np.random.Generator) -> Network:
    space = _searched()[rng.integers(len(_searched()))]
    return space.sample(rng).at(height=int(rng.choice(MEMBER_SIZES)))


def _scaled(rng: np.random.Generator) -> Network:
    """A classifier of the zoo; drawn again where its blocks do not take the width or the size, or take too long."""
    while True:
        network = load(str(rng.choice(_classifiers())))
        with suppress(ArchitectureError):
            scaled = scale_width(network, float(rng.choice(WIDTHS))).at(height=int(rng.choice(MEMBER_SIZES)))
            if cost(scaled, form="deploy").macs <= MOST_MACS:
                return scaled


def _chained(rng: np.random.Generator, *, image: bool, least: int, most: int) -> Network:
    """From an image and a stem, or from any map, the least to the most blocks after that."""
    while True:
        frame = _draw(_space(), rng)
        if image:
            size = int(rng.choice(IMAGE_SIZES))
            frame = msgspec.structs.replace(frame, input=(3, size, size))
        elif not _usual(frame.input_shape):
            continue
        blocks, last = _chain(frame, rng, image=image, count=(least, most))
        head = frame.head if last.layout == "map" else TokenHead()
        return msgspec.structs.replace(frame, stages=(Stage(blocks=blocks),), head=head)


def _chain(
    frame: Network, rng: np.random.Generator, *, image: bool, count: tuple[int, int]
) -> tuple[tuple[Block, ...], Shape]:
    """The blocks of a sample, and what the last one gives."""
    blocks: list[Block] = []
    shape = frame.input_shape
    if image:
        blocks.append(Conv(out_channels=int(rng.choice(STEM_CHANNELS)), stride=2))
        shape = count_part(blocks[0], shape, frame.conventions, 1, True, "none").output
    for _ in range(rng.integers(*count, endpoint=True)):
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
def _classifiers() -> tuple[str, ...]:
    """Those of the zoo that are chains: blocks are timed one after the other, and no head that takes two maps."""
    heads = {name: load(name).head for name in list_models()}
    return tuple([name for name, head in heads.items() if head.answers == "classes" and not head.taps])


@lru_cache(maxsize=1)
def _searched() -> tuple[Space, ...]:
    return tuple([load_space(name) for name in SPACES])


@lru_cache(maxsize=1)
def _space() -> Space:
    return parse_space(read_document(Path(__file__).parent / "calibration.yaml"), source="calibration.yaml")
