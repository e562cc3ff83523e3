"""The contract of blocks: whatever kind there is, it is shown, drawn, counted, built, folded, exported and narrowed.

No kind is named here: examples are made from what a block declares of its fields.
"""

import json
import typing
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Annotated
from xml.etree import ElementTree

import msgspec
import pytest
import torch
from cli_helpers import call
from nn_helpers import randomise, relative_error
from torch import nn

import ridgepoint as rp
from ridgepoint.arch.blocks import BLOCKS, BlockBase
from ridgepoint.arch.choice import covering
from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.head import TokenHead
from ridgepoint.arch.layer import BatchNorm, MultiQueryAttention
from ridgepoint.arch.network import Network, Stage, place_blocks
from ridgepoint.arch.recipe import walk
from ridgepoint.arch.roles import (
    BRANCHES,
    DIM,
    EXPANSION,
    HEADS,
    KERNEL,
    OUT,
    RESIDUAL,
    SE,
    SIZES,
    SQUEEZE,
    STRIDE,
    roles_of,
)  # fmt: skip
from ridgepoint.arch.shrink import knobs, turn
from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.arch.vocabulary import SHORTHANDS, vocabulary
from ridgepoint.arch.wiring import inherits
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.cost.count import cost
from ridgepoint.cost.samples import _space as calibrated
from ridgepoint.cost.space_table import compile_space
from ridgepoint.data.preprocess import Preprocessing
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
from ridgepoint.search.methods.tunas import OPERATORS, WIDTHS

CHANNELS = 16
OPTIONS = {
    OUT: (24, CHANNELS), EXPANSION: (32, CHANNELS), SQUEEZE: (8, None), HEADS: (2, 1), DIM: (8,), KERNEL: (3, 0),
    STRIDE: (1, 2), BRANCHES: (2, 1), SE: (True, False), RESIDUAL: (None,),
}  # fmt: skip
KINDS = list(BLOCKS)


def examples(kind: type[BlockBase]) -> list[BlockBase]:
    """Blocks of a kind in every combination of the options that its fields' roles have."""
    fields = {field: OPTIONS[role] for field, role in roles_of(kind).items()}
    found = []
    for values in product(*fields.values()):
        row = {"block": kind.tag(), **dict(zip(fields, values, strict=True))}
        try:
            found.append(msgspec.convert(row, kind))
            place_blocks(network_of(found[-1]))
        except msgspec.ValidationError:
            continue
        except ArchitectureError:
            found.pop()
    return found


def network_of(*blocks: BlockBase, each: int = 2) -> Network:
    """Each block between others that it could share its width with, and a head that takes maps and tokens."""
    return Network(
        name="example",
        input=(3, 12, 12),
        stem=(BLOCKS["conv"](out_channels=CHANNELS),),
        stages=tuple(Stage(blocks=(block, block.unstrided())[:each]) for block in blocks),
        head=TokenHead(),
        num_classes=5,
    )


def space_of(kind: type[BlockBase]) -> Space:
    """A space in which everything of a block is open that may be."""
    row = {"block": kind.tag()}
    for field, role in roles_of(kind).items():
        options = sorted({getattr(block, field) for block in examples(kind)}, key=lambda each: (each is None, each))
        more = [64] if role in (OUT, EXPANSION) else [5] if role == KERNEL else []
        row[field] = {"choice": [*options, *more]}
    stages = [{"blocks": [{"block": "conv", "out_channels": CHANNELS}, row, {"choice": [row, None]}]}]
    raw = {"name": "open", "input": [3, 12, 12], "stages": stages, "head": {"head": "tokens"}, "num_classes": 5}
    return parse_space(raw, source="open")


def test_every_kind_has_examples_and_its_own_look():
    assert len(KINDS) >= 12
    looks = [kind.general_look() for kind in BLOCKS.values()]
    assert all(kind.look is not None for kind in BLOCKS.values())
    assert len({look.name for look in looks}) == len(looks)
    for kind in BLOCKS.values():
        assert examples(kind), kind
        for block in examples(kind):
            look = block.own_look()
            assert look.hue in HUES and look.kind.isidentifier() and look.name and look.words


def test_a_key_has_one_role_wherever_it_stands():
    for kind in BLOCKS.values():
        for field, role in roles_of(kind).items():
            assert vocabulary()[field] == role, (kind, field)
        numbers = {field.name for field in msgspec.structs.fields(kind) if typing.get_origin(field.type) is Annotated}
        assert numbers - {"kv_stride"} <= roles_of(kind).keys(), "a number without a role would only ever be drawn"
    assert not OPERATORS & WIDTHS


@pytest.mark.parametrize("name", [*list_spaces(), "calibration"])
def test_whatever_a_search_may_choose_is_known_to_decide_something(name):
    """A choice of a block's field that had no role would silently be drawn only, and shown nowhere."""
    space = calibrated() if name == "calibration" else load_space(name)
    fields = {field.name for kind in BLOCKS.values() for field in msgspec.structs.fields(kind)}
    for choice, key in space.keys.items():
        if key in (fields | SHORTHANDS.keys()) - {"activation", "bias", "kv_stride"}:
            assert key in vocabulary(), choice
    for number, network in enumerate(networks_of(space)):
        rows = block_rows(network)
        assert not any(row.kind == "head" for row in rows[:-1])
        for knob in knobs(network)[:: 1 if number == 0 else 7]:
            children = (child for width in knob.narrower if (child := turn(network, knob, width)) is not None)
            if (child := next(children, None)) is not None:
                for mine, theirs in zip(place_blocks(child), place_blocks(network), strict=True):
                    assert inherits(mine.recipe, theirs.recipe), (knob, mine.path)


def networks_of(space: Space) -> Iterator[Network]:
    """Networks in which every option occurs; calibration's choices do not all go together."""
    for template in covering(space.template, space.name):
        with suppress(ArchitectureError):
            yield parse_network(template, source=space.name)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_shown_and_drawn_in_a_network(kind, tmp_path):
    network = network_of(*examples(BLOCKS[kind]))
    rows = [row for row in block_rows(network) if row.path.startswith("stages")]
    names = {block.own_look().name for block in examples(BLOCKS[kind])}
    assert {row.name for row in rows} == names and not any(row.kind == "head" for row in rows)
    root = ElementTree.fromstring(draw(network))
    text = " ".join(root.itertext())
    assert all(name in text for name in names)
    css = root.findtext("{http://www.w3.org/2000/svg}style") or ""
    assert all(f".k-{row.kind}{{" in css for row in rows)
    path = tmp_path / "example.yaml"
    path.write_text(dump_network(network))
    shown = call("show", path, "--json")
    assert shown.returncode == 0 and names <= {row["kind"] for row in json.loads(shown.stdout)["blocks"]}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_shown_drawn_and_counted_in_a_space(kind, tmp_path):
    space = space_of(BLOCKS[kind])
    row = space_stages(space)[0].rows[1]
    assert row.name == BLOCKS[kind].general_look().name
    for field, role in roles_of(BLOCKS[kind]).items():
        assert role.called(field) in row.options, field
    ElementTree.fromstring(draw_space(space))
    assignment = space.complete(lambda choice: len(choice.options) - 1)
    table = compile_space(space)
    assert table.macs("deploy").one(assignment) == cost(space.decode(assignment), form="deploy").macs


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_it_is_counted_built_and_folded_to_no_norm(kind):
    """But for the norm before attention, which has no convolution next to it."""
    network = network_of(*examples(BLOCKS[kind]))
    model = randomise(build(network), size=12)
    assert sum(parameter.numel() for parameter in model.parameters()) == cost(network).params
    folded = fuse(model)
    assert sum(parameter.numel() for parameter in folded.parameters()) == cost(network, form="deploy").params
    x = torch.randn(2, *network.input)
    assert relative_error(folded(x), model(x)) < 1e-4
    kept = [isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folded.modules()]
    attentions = [
        isinstance(layer, MultiQueryAttention)
        for placed in place_blocks(network, deploy=True)
        for layer in walk(placed.recipe)
    ]
    assert sum(kept) == sum(attentions)
    layers = [layer for placed in place_blocks(network, deploy=True) for layer in walk(placed.recipe)]
    assert sum(isinstance(layer, BatchNorm) for layer in layers) == sum(kept)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_width_of_it_shrinks_and_the_child_inherits(kind):
    turned = set()
    for block in examples(BLOCKS[kind]):
        network = network_of(block)
        parent = build(network).eval()
        for knob in knobs(network):
            children = [child for width in knob.narrower if (child := turn(network, knob, width)) is not None]
            for child in children[:1]:
                heir = inherit(child, parent)
                assert heir(torch.zeros(1, *network.input)).shape == (1, 5)
                turned |= {(knob.kind, knob.field), (knob.kind, "")} if "stages" in str(knob) else set()
    for field, role in roles_of(BLOCKS[kind]).items():
        wanted = {EXPANSION: ("expansion", field), HEADS: ("heads", field), OUT: ("bottleneck", "")}.get(role)
        assert wanted is None or wanted in turned, field
    assert set(roles_of(BLOCKS[kind]).values()) & set(SIZES)


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_shares_the_weights_of_one_supernet(kind):
    space = space_of(BLOCKS[kind])
    net = Supernet(space)
    for index in (0, -1):
        assignment = space.complete(lambda choice: range(len(choice.options))[index])  # noqa: B023
        net(torch.randn(2, 3, 12, 12), net.steps(assignment)).sum().backward()
        assert net.extract(assignment).network == space.decode(assignment)


def test_all_kinds_together_are_exported(tmp_path):
    blocks = [next(iter(examples(kind))) for kind in BLOCKS.values()]
    blocks.sort(key=lambda block: place_blocks(network_of(block))[2].output.layout == "tokens")
    network = network_of(*blocks, each=1)
    path = rp.export(
        build(network).eval(),
        tmp_path / "all.onnx",
        network=network,
        preprocessing=Preprocessing(height=12, width=12, channels=3, resize=12, mean=(0.5,) * 3, std=(0.5,) * 3),
        labels=[str(number) for number in range(5)],
    )
    assert path.stat().st_size > 10_000
