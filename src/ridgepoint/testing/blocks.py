"""What every kind of block must do; `check` tries all of it, `CHECKS` one by one.

    from ridgepoint.arch.blocks import BLOCKS
    from ridgepoint.testing.blocks import check

    def test_my_block():
        check(BLOCKS["mine"])

Nothing is asked of the kind but what it declares: examples are made of its fields by their roles, so that every two
options occur together.
"""

import typing
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import combinations, product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.blocks import BLOCKS, BlockBase
from ridgepoint.arch.choice import Choice
from ridgepoint.arch.document import parse_network
from ridgepoint.arch.heads.classification import TokenHead
from ridgepoint.arch.layer import BatchNorm as BatchNormLayer
from ridgepoint.arch.layer import Conv2d, Layer, MultiQueryAttention
from ridgepoint.arch.network import Network, Stage, place_blocks
from ridgepoint.arch.recipe import walk
from ridgepoint.arch.roles import (
    BRANCHES,
    DILATION,
    DIM,
    EXPANSION,
    GROUPS,
    HEADS,
    KERNEL,
    LAYERS,
    NORMS,
    OUT,
    RESIDUAL,
    SE,
    SIZES,
    SQUEEZE,
    STRIDE,
    Role,
    roles_of,
)  # fmt: skip
from ridgepoint.arch.shrink import knobs, turn
from ridgepoint.arch.space import Space, parse_space
from ridgepoint.arch.vocabulary import vocabulary
from ridgepoint.cost.count import cost
from ridgepoint.cost.space_table import compile_space
from ridgepoint.errors import ArchitectureError
from ridgepoint.nn.build import build
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.supernet import Supernet
from ridgepoint.report.blocks import block_rows
from ridgepoint.report.drawing import draw
from ridgepoint.report.ink import HUES
from ridgepoint.report.space_drawing import draw_space
from ridgepoint.report.space_rows import space_stages
from ridgepoint.testing.laws import hold, laws_of
from ridgepoint.testing.weights import randomise, relative_error

CHANNELS, SIZE = 16, 12
OPTIONS: dict[Any, tuple[Any, ...]] = {
    OUT: (24, CHANNELS), EXPANSION: (32, CHANNELS), SQUEEZE: (8, None), HEADS: (2, 1), DIM: (8,), KERNEL: (3, 0),
    STRIDE: (1, 2), DILATION: (1,), BRANCHES: (2, 1), SE: (True, False), RESIDUAL: (None,), LAYERS: (2, 1),
    GROUPS: (1, 2), NORMS: ("branches", "sum"),
}  # fmt: skip
Kind = type[BlockBase]


def check(kind: Kind) -> None:
    """Try everything that a kind of block must do.

    Raises:
        AssertionError: Naming what it does not do.
    """
    hold(kind, CHECKS, called=f"block '{kind.tag()}'")


@lru_cache(maxsize=64)
def examples(kind: Kind) -> list[BlockBase]:
    """Blocks of a kind in which every two options of its fields' roles occur together, wherever they may."""
    fields = {field: OPTIONS[role] for field, role in roles_of(kind).items()}
    found: list[BlockBase] = []
    for values in product(*fields.values()):
        row = {"block": kind.tag(), **dict(zip(fields, values, strict=True))}
        try:
            found.append(msgspec.convert(row, kind))
            place_blocks(network_of(found[-1]))
        except msgspec.ValidationError:
            continue
        except ArchitectureError:
            found.pop()
    return _pairwise(found, list(fields))


def _pairwise(blocks: list[BlockBase], fields: list[str]) -> list[BlockBase]:
    """A few of the blocks in which every pair of values occurs that occurs at all, chosen greedily."""
    pairs = {
        number: set(combinations([(field, getattr(block, field)) for field in fields], 2 if len(fields) > 1 else 1))
        for number, block in enumerate(blocks)
    }
    open_, chosen = set().union(*pairs.values()), list[int]()
    while open_:
        chosen.append(max(pairs, key=lambda number: len(pairs[number] & open_)))
        open_ -= pairs[chosen[-1]]
    return [blocks[number] for number in sorted(chosen)]


def network_of(*blocks: BlockBase, each: int = 2) -> Network:
    """Each block between others that it could share its width with, and a head that takes maps and tokens."""
    return Network(
        name="example",
        input=(3, SIZE, SIZE),
        stem=(msgspec.convert({"block": "conv", "out_channels": CHANNELS}, BLOCKS["conv"]),),
        stages=tuple(Stage(blocks=(block, block.unstrided())[:each]) for block in blocks),
        head=TokenHead(),
        num_classes=5,
    )


def open_fields(kind: Kind) -> dict[str, Role]:
    """What searches leave open; not every block dilates."""
    return {field: role for field, role in roles_of(kind).items() if role != DILATION}


def space_of(kind: Kind) -> Space:
    """A space in which everything of a block is open that may be."""
    row: dict[str, Any] = {"block": kind.tag()}
    for field, role in open_fields(kind).items():
        options = sorted({getattr(block, field) for block in examples(kind)}, key=lambda each: (each is None, each))
        more = [64] if role in (OUT, EXPANSION) else [5] if role == KERNEL else []
        row[field] = {"choice": [*options, *more]}
    stages = [{"blocks": [{"block": "conv", "out_channels": CHANNELS}, row, {"choice": [row, None]}]}]
    raw = {"name": "open", "input": [3, SIZE, SIZE], "stages": stages, "head": {"head": "tokens"}, "num_classes": 5}
    return parse_space(raw, source="open")


def has_a_look_and_a_role_for_every_number(kind: Kind, folder: Path) -> None:
    """A number without a role would only ever be drawn; a key has one role in all blocks."""
    assert kind.look is not None and examples(kind), "it has no look, or no example can be made of its fields"
    for block in examples(kind):
        look = block.own_look()
        assert look.hue in HUES and look.kind.isidentifier() and look.name and look.words
    for field, role in roles_of(kind).items():
        known = vocabulary().get(field, role)
        assert known == role, f"{field} decides something else here than in other blocks"
    numbers = {
        field.name for field in msgspec.structs.fields(kind) if typing.get_origin(field.type) is typing.Annotated
    }
    assert numbers - {"kv_stride"} <= roles_of(kind).keys(), (
        f"a number without a role: {numbers - roles_of(kind).keys()}"
    )
    assert set(roles_of(kind).values()) & set(SIZES), "none of its fields is a width"


def is_shown_and_drawn_in_a_network(kind: Kind, folder: Path) -> None:
    """By its own name, in its own colour; and read back equal from a document."""
    network = network_of(*examples(kind))
    rows = [row for row in block_rows(network) if row.path.startswith("stages")]
    names = {block.own_look().name for block in examples(kind)}
    assert {row.name for row in rows} == names and not any(row.kind == "head" for row in rows)
    root = ElementTree.fromstring(draw(network))
    text, css = " ".join(root.itertext()), root.findtext("{http://www.w3.org/2000/svg}style") or ""
    assert all(name in text for name in names) and all(f".k-{row.kind}{{" in css for row in rows)
    assert parse_network(msgspec.json.decode(msgspec.json.encode(network)), source="example") == network


def is_shown_drawn_and_counted_in_a_space(kind: Kind, folder: Path) -> None:
    """With all of its fields open; a compiled table counts what the network counts."""
    space = space_of(kind)
    row = space_stages(space)[0].rows[1]
    assert row.name == kind.general_look().name
    for field, role in open_fields(kind).items():
        assert role.called(field) in row.options, field
    ElementTree.fromstring(draw_space(space))
    assignment = space.complete(lambda choice: len(choice.options) - 1)
    table = compile_space(space)
    assert table.macs("deploy").one(assignment) == cost(space.decode(assignment), form="deploy").macs


@torch.no_grad()
def is_counted_built_and_folded_to_no_norm(kind: Kind, folder: Path) -> None:
    """But for the norm before attention, which has no convolution next to it.

    In double precision: dozens of blocks in a row may blow up what single precision rounds.
    """
    network = network_of(*examples(kind))
    model = randomise(build(network), size=SIZE).double()
    assert _params(model) == cost(network).params, "the module has other parameters than are counted"
    folded = fuse(model)
    assert _params(folded) == cost(network, form="deploy").params, "the folded module has others than are counted"
    x = _images(network).double()
    assert relative_error(folded(x), model(x)) < 1e-4, "folding changes what it computes"
    kept = sum(isinstance(module, BatchNorm) for module in folded.modules())
    layers = _layers(network, deploy=True)
    attentions = sum(isinstance(layer, MultiQueryAttention) for layer in layers)
    assert kept == attentions, f"{kept - attentions} norms are left after folding"
    assert sum(isinstance(layer, BatchNormLayer) for layer in layers) == kept, "the counted form keeps other norms"


@torch.no_grad()
def shrinks_in_every_width_and_the_child_inherits(kind: Kind, folder: Path) -> None:
    """Each of its widths can be narrowed in some example."""
    turned = set()
    for block in examples(kind):
        network = network_of(block)
        parent = build(network).eval()
        for knob in knobs(network):
            child = next((child for width in knob.narrower if (child := turn(network, knob, width)) is not None), None)
            if child is not None:
                assert cost(child).params < cost(network).params, f"narrowing the {knob} saves nothing"
                assert inherit(child, parent)(torch.zeros(1, *network.input)).shape == (1, 5)
                turned |= {(knob.kind, knob.field), (knob.kind, "")} if "stages" in str(knob) else set()
    for field, role in roles_of(kind).items():
        wanted = {EXPANSION: ("expansion", field), HEADS: ("heads", field), OUT: ("bottleneck", "")}.get(role)
        assert wanted is None or wanted in turned, f"{field} never shrinks"


def shares_the_weights_of_one_supernet(kind: Kind, folder: Path) -> None:
    """All of a space's networks learn in one, and each can be taken out."""
    space = space_of(kind)
    net = Supernet(space)
    for last in (False, True):
        assignment = space.complete(partial(_end, last))
        net(torch.randn(2, 3, SIZE, SIZE), net.steps(assignment)).sum().backward()
        assert net.extract(assignment).network == space.decode(assignment)


@torch.no_grad()
def dilates_or_says_why_not(kind: Kind, folder: Path) -> None:
    """Kernels larger than 1x1 reach further with the same weights; counted, built and folded as they are."""
    block = examples(kind)[0]
    network, wide = network_of(block, each=1), network_of(msgspec.structs.replace(block, dilation=2), each=1)
    try:
        counted = cost(wide)
    except ArchitectureError as error:
        assert "dilation" in str(error)
        return
    assert (counted.params, counted.macs) == (cost(network).params, cost(network).macs)
    model, plain = randomise(build(wide), size=SIZE), build(network).eval()
    plain.load_state_dict(model.state_dict())
    x = _images(wide)
    assert relative_error(fuse(model)(x), model(x)) < 1e-4, "folding changes what it computes"
    kernels = [layer.kernel for layer in _layers(network)[3:] if isinstance(layer, Conv2d)]
    assert torch.allclose(model(x), plain(x)) == (max(kernels, default=1) == 1), "dilation changes nothing"


CHECKS = laws_of(
    has_a_look_and_a_role_for_every_number,
    is_shown_and_drawn_in_a_network,
    is_shown_drawn_and_counted_in_a_space,
    is_counted_built_and_folded_to_no_norm,
    shrinks_in_every_width_and_the_child_inherits,
    shares_the_weights_of_one_supernet,
    dilates_or_says_why_not,
)
"""By names that say what they ask for."""


def _end(last: bool, choice: Choice) -> int:
    return len(choice.options) - 1 if last else 0


def _layers(network: Network, *, deploy: bool = False) -> list[Layer]:
    return list(_walked(network, deploy))


def _walked(network: Network, deploy: bool) -> Iterator[Layer]:
    for placed in place_blocks(network, deploy=deploy):
        yield from walk(placed.recipe)


def _params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _images(network: Network) -> torch.Tensor:
    return torch.randn(2, *network.input, generator=torch.Generator().manual_seed(1))
