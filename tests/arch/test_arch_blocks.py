"""The contract of blocks: every kind keeps it, no kind is named here, and a fault of a kind is found by its law."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, ClassVar

import msgspec
import pytest
from cli_helpers import call

from ridgepoint.arch.blocks import BLOCKS, BlockBase
from ridgepoint.arch.choice import covering
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.layer import Average, Conv2d
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain
from ridgepoint.arch.roles import Expansion, Out
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shrink import knobs, turn
from ridgepoint.arch.space import Space, load_space
from ridgepoint.arch.vocabulary import SHORTHANDS, vocabulary
from ridgepoint.arch.wiring import inherits
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.cost.samples import _space as calibrated
from ridgepoint.errors import ArchitectureError
from ridgepoint.report.blocks import block_rows
from ridgepoint.search.methods.tunas import OPERATORS, WIDTHS
from ridgepoint.testing.blocks import CHECKS, check, examples, network_of

KINDS = list(BLOCKS)


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_the_contract(kind, law, tmp_path):
    CHECKS[law](BLOCKS[kind], tmp_path)


class Toy(BlockBase, frozen=True, tag="toy_conv"):
    """A convolution, told by a kind that no document knows."""

    look: ClassVar = Look("toy", "toy", "Toy", "teal")
    out_channels: Out

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        return chain(unit=conventions.conv(shape.channels, self.out_channels))


class Unroled(Toy, frozen=True, tag="toy_unroled"):
    depth: Annotated[int, msgspec.Meta(ge=1)] = 1


class KeepsItsNorm(Toy, frozen=True, tag="toy_norm"):
    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        branches = (("skip", IDENTITY), ("norm", conventions.norm(shape.channels)))
        return chain(rep=Parallel(branches, Average()), unit=conventions.conv(shape.channels, self.out_channels))


class Stiff(Toy, frozen=True, tag="toy_stiff"):
    """Says that it has a width, and has its input's."""

    expand_channels: Expansion = 32

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        wide = shape.channels
        return chain(expand=conventions.conv(shape.channels, wide), unit=conventions.conv(wide, self.out_channels))


class Fixed(Toy, frozen=True, tag="toy_fixed"):
    """Kernels that no dilation reaches, for it undoes it."""

    def wired(self, shape: Shape, conventions: Conventions) -> Recipe:
        wide = Conv2d(in_channels=shape.channels, out_channels=self.out_channels, kernel=3)
        return chain(conv=wide, norm=conventions.norm(self.out_channels))

    recipe = wired


FAULTS = [
    (Unroled, "has_a_look_and_a_role_for_every_number", "a number without a role: .*depth"),
    (KeepsItsNorm, "is_counted_built_and_folded_to_no_norm", "norms are left after folding"),
    (Stiff, "shrinks_in_every_width_and_the_child_inherits", "narrowing the expansion of stages.0.0 saves nothing"),
    (Fixed, "dilates_or_says_why_not", "dilation changes nothing"),
]


@pytest.mark.parametrize(("kind", "law", "told"), FAULTS)
def test_a_fault_is_found(kind, law, told, tmp_path):
    CHECKS[law](Toy, tmp_path)
    with pytest.raises(AssertionError, match=told):
        CHECKS[law](kind, tmp_path)


def test_check_names_the_kind_and_the_law():
    with pytest.raises(
        AssertionError, match="block 'toy_unroled' breaks 'has_a_look_and_a_role_for_every_number': a num"
    ):
        check(Unroled)


def test_every_kind_has_its_own_look_and_a_key_one_role():
    assert len(KINDS) >= 12 and not OPERATORS & WIDTHS
    looks = [kind.general_look() for kind in BLOCKS.values()]
    assert len({look.name for look in looks}) == len(looks)


@pytest.mark.parametrize("kind", KINDS)
def test_the_verb_shows_it_by_name(kind, tmp_path):
    network = network_of(*examples(BLOCKS[kind]))
    path = tmp_path / "example.yaml"
    path.write_text(dump_network(network))
    names = {block.own_look().name for block in examples(BLOCKS[kind])}
    shown = call("show", path, "--json")
    assert shown.returncode == 0 and names <= {row["kind"] for row in json.loads(shown.stdout)["blocks"]}


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
