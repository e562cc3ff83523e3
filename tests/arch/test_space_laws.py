"""Laws of search spaces, on random small ones: size by enumeration, membership, round trips, the nearest member."""

import itertools
import math

import msgspec
import numpy as np
import pytest
from arch_strategies import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.arch.zoo import list_spaces, load
from ridgepoint.errors import ArchitectureError

# Choices with a name may occur anywhere in a space, and then take one value everywhere.
WIDTH = {"choice": [8, 16], "name": "width"}
KERNEL = {"choice": [3, 5], "name": "kernel"}
EXTRA = {"choice": [{"block": "conv", "kernel": KERNEL, "out_channels": 8}, None], "name": "extra"}
DEPTH = {"choice": [1, 2], "name": "depth"}

widths = st.sampled_from([8, 16, WIDTH, {"choice": [8, 16]}, {"choice": [8, {"choice": [16, 24]}]}])
kernels = st.sampled_from([3, KERNEL, {"choice": [1, 3]}, {"choice": [3, 3]}])
convs = st.fixed_dictionaries({"block": st.just("conv"), "kernel": kernels, "out_channels": widths})
repeated = convs.map(lambda row: {**row, "repeat": {"choice": [1, 2]}})
rows = st.one_of(
    convs,
    convs,
    repeated,
    st.just(EXTRA),
    convs.map(lambda row: {"choice": [row, None]}),
    st.tuples(convs, convs).map(lambda pair: {"choice": [*pair]}),
)
row_lists = st.lists(rows, min_size=2, max_size=3)
pairs = st.lists(rows, min_size=2, max_size=2)  # as many as the depths below keep at most
stages = st.one_of(
    row_lists.map(lambda found: {"blocks": found}),
    st.tuples(st.sampled_from([DEPTH, {"choice": [0, 1, 2]}, {"choice": [1, 2], "name": "depth2"}]), pairs).map(
        lambda pair: {"depth": pair[0], "blocks": pair[1]}
    ),
)
spaces = st.builds(
    lambda stem, body, head, side: parse_space(
        {
            "name": "small",
            "input": [3, side, side],
            "stem": stem,
            "stages": body,
            "head": {"head": "pooled", "conv_channels": head},
        },
        source="small.yaml",
    ),
    stem=st.lists(rows, max_size=1),
    body=st.lists(stages, min_size=1, max_size=2),
    head=st.sampled_from([{"choice": [None, 32]}, WIDTH, {"choice": [16, WIDTH]}]),
    side=st.sampled_from([16, {"choice": [8, 16], "name": "side"}]),
)


def enumerate_assignments(space: Space) -> list[dict[str, int]]:
    """Every assignment once: all indices of all choices, reduced to those that turn out to be open."""
    found = {}
    for indices in itertools.product(*(range(len(choice.options)) for choice in space.choices)):
        full = {choice.name: index for choice, index in zip(space.choices, indices, strict=True)}
        open_only = space.complete(lambda choice, full=full: full[choice.name])
        found[tuple(sorted(open_only.items()))] = open_only
    return list(found.values())


def few_combinations(space: Space) -> bool:
    return math.prod(len(choice.options) for choice in space.choices) <= 2000


@settings(max_examples=examples(20), deadline=None)
@given(spaces.filter(few_combinations))
def test_size_is_the_number_of_assignments(space: Space):
    assert space.size == len(enumerate_assignments(space))


@settings(max_examples=examples(15), deadline=None)
@given(spaces, st.integers(0, 2**32 - 1))
def test_every_sample_is_contained_and_comes_back_from_its_code(space: Space, seed: int):
    rng = np.random.default_rng(seed)
    for _ in range(3):
        network = space.sample(rng)
        assert space.contains(network)
        code = space.encode(network)
        assert space.decode(code) == network
        assert code == space.complete(lambda choice, code=code: code[choice.name]), "a code holds the open choices only"
        assert space.closest(network) == network


@settings(max_examples=examples(12), deadline=None)
@given(spaces, st.sampled_from(["mobilenetv3_small_050", "mobilenetv4_conv_small", "mobilenetv1_100"]))
def test_the_closest_of_a_foreigner_is_a_member(space: Space, name: str):
    foreigner = load(name)
    assert not space.contains(foreigner)
    assert space.contains(space.closest(foreigner))


@settings(max_examples=examples(12), deadline=None)
@given(spaces, spaces, st.integers(0, 2**32 - 1))
def test_the_closest_of_another_spaces_sample_is_a_member(space: Space, other: Space, seed: int):
    near = space.closest(other.sample(np.random.default_rng(seed)))
    assert space.contains(near)
    assert space.closest(near) == near


@settings(max_examples=examples(8), deadline=None)
@given(spaces.filter(few_combinations))
def test_membership_is_exact(space: Space):
    """A network with one thing changed is contained exactly if enumeration finds it."""
    members = {space.decode(assignment).digest for assignment in enumerate_assignments(space)}
    network = space.sample(np.random.default_rng(0))
    changed = [network.with_classes(7), network.at(height=12)]
    first = next((stage for stage in network.stages if stage.blocks), None)
    if first is not None:
        block = msgspec.structs.replace(first.blocks[0], kernel=5 if first.blocks[0].kernel != 5 else 3)
        stages = tuple(
            msgspec.structs.replace(stage, blocks=(block, *stage.blocks[1:])) if stage is first else stage
            for stage in network.stages
        )
        changed.append(msgspec.structs.replace(network, stages=stages))
    for other in changed:
        assert space.contains(other) == (other.digest in members)


def small(stages: list, **more: object) -> Space:
    return parse_space({"name": "by_hand", "input": [3, 16, 16], "stages": stages, **more}, source="by_hand.yaml")


def conv(width: object, **more: object) -> dict:
    return {"block": "conv", "kernel": 3, "out_channels": width, **more}


def test_size_by_hand_where_a_depth_hides_choices():
    three = {"choice": [8, 16, 24]}
    space = small([{"depth": {"choice": [1, 2, 3]}, "blocks": [conv(three), conv(three), conv(three)]}])
    assert space.size == 3 + 3 * 3 + 3 * 3 * 3


def test_size_by_hand_where_a_shared_choice_is_first_met_in_a_block_that_a_depth_leaves_out():
    width = {"choice": [8, 16, 24], "name": "width"}
    space = small([{"depth": {"choice": [1, 2]}, "blocks": [conv(8), conv(width)]}, {"blocks": [conv(width)]}])
    assert space.size == 2 * 3  # either depth; three widths, whether the second block is there or not


def test_size_by_hand_where_both_options_hold_one_shared_choice():
    width = {"choice": [8, 16, 24], "name": "width"}
    space = small([{"blocks": [{"choice": [conv(width), conv(width, stride=2)]}]}])
    assert space.size == 2 * 3


def test_size_by_hand_where_two_stages_share_their_depth():
    depth, kernel = {"choice": [1, 2], "name": "depth"}, {"choice": [3, 5]}
    blocks = [conv(8, kernel=kernel), conv(8, kernel=kernel)]
    space = small([{"depth": depth, "blocks": blocks}, {"depth": depth, "blocks": blocks}])
    assert space.size == 2 * 2 + 4 * 4  # both stages one block, or both two


def test_size_by_hand_with_rows_left_out_and_repeats():
    space = small(
        [{"blocks": [conv(8), {"choice": [conv({"choice": [8, 16]}), None]}, conv(8, repeat={"choice": [1, 2]})]}]
    )
    assert space.size == (2 + 1) * 2


def test_a_code_found_early_does_not_block_a_later_part():
    """The one extra block could be either row; only the second fits the last stage, which shares its choice."""
    row = conv(8)
    extra = {"choice": [row, None], "name": "extra"}
    space = small([{"blocks": [conv(16), {"choice": [row, None]}, extra]}, {"blocks": [conv(16), extra]}])
    for assignment in enumerate_assignments(space):
        assert space.contains(space.decode(assignment))


def test_membership_does_not_take_time_exponential_in_the_rows():
    """Every row can be had in two ways; the last one in none."""
    twice = {"choice": [8, 8]}
    space = small([{"blocks": [conv(twice) for _ in range(40)]}, {"blocks": [conv({"choice": [8, 16]})]}])
    member = space.decode(space.complete(lambda choice: 0))
    foreign = msgspec.structs.replace(
        member, stages=(member.stages[0], msgspec.structs.replace(member.stages[0], blocks=member.stages[0].blocks[:2]))
    )
    assert space.contains(member)
    assert not space.contains(foreign)


def test_the_closest_keeps_what_can_be_kept():
    choices = {"choice": [8, 16, 32, 64]}
    space = small(
        [{"depth": {"choice": [1, 2, 3]}, "blocks": [conv(choices), conv(choices), conv(choices)]}],
        input=[3, {"choice": [16, 32, 64], "name": "side"}, {"choice": [16, 32, 64], "name": "side"}],
        num_classes={"choice": [10, 1000]},
    )
    like = small([{"blocks": [conv({"choice": [36]}), conv(14)]}], num_classes=12).sample(np.random.default_rng(0))
    near = space.closest(like.at(height=30))
    assert [block.out_channels for block in near.stages[0].blocks] == [32, 16]
    assert near.input == (3, 32, 32)
    assert near.num_classes == 10


@pytest.mark.parametrize("name", list_spaces())
@pytest.mark.parametrize("side", [32, 64, 96, 224])
def test_shipped_spaces_hold_networks_at_several_sizes(name: str, side: int):
    space = load_space(name).closed(input=[1, side, side], num_classes=5)
    assert space.size > 10**4
    network = space.sample(np.random.default_rng(side))
    assert network.input == (1, side, side) and network.num_classes == 5
    assert space.decode(space.encode(network)) == network


def test_sampling_is_the_same_for_the_same_seed_and_reaches_every_option():
    space = load_space("mobilenetv4_conv_32px")
    assert space.sample(np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
    seen: dict[str, set[int]] = {choice.name: set() for choice in space.choices}
    rng = np.random.default_rng(0)
    for _ in range(300):
        for name, index in space.sample_assignment(rng).items():
            seen[name].add(index)
    assert all(seen[choice.name] == set(range(len(choice.options))) for choice in space.choices)


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_an_index_out_of_range_is_refused_with_its_choice_and_what_is_allowed(index: int):
    space = small([{"blocks": [conv(WIDTH)]}])
    with pytest.raises(ArchitectureError, match=rf"by_hand: choice 'width' is {index}\. Allowed: 0 to 1"):
        space.decode({"width": index})


def test_a_missing_choice_is_refused_by_name():
    with pytest.raises(ArchitectureError, match="choice 'width' is missing"):
        small([{"blocks": [conv(WIDTH)]}]).decode({})


def test_a_network_outside_is_refused_with_the_first_part_that_differs():
    space = small([{"blocks": [conv(WIDTH)]}, {"blocks": [conv(8), conv(WIDTH)]}])
    member = space.decode({"width": 1})
    with pytest.raises(ArchitectureError, match="num_classes: no choice gives 3"):
        space.encode(member.with_classes(3))
    with pytest.raises(ArchitectureError, match="has 2 stages, the network has 1"):
        space.encode(msgspec.structs.replace(member, stages=member.stages[:1]))
    mixed = (space.decode({"width": 0}).stages[0], member.stages[1])
    with pytest.raises(ArchitectureError, match=r"stages\.1: no choice gives"):
        space.encode(msgspec.structs.replace(member, stages=mixed))
