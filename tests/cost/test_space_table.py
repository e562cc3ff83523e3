"""Compiled space tables against the networks themselves: every space that ships, and small ones that are awkward."""

import numpy as np
import pytest

from ridgepoint.arch.network import lower, place_row
from ridgepoint.arch.space import load_space, parse_space
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import Device
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.space_table import compile_space
from ridgepoint.errors import ArchitectureError, InputError

BOARD = Device(
    name="board",
    source="invented",
    peak_macs_per_s=1e10,
    bandwidth_bytes_per_s=1e9,
    overhead_ms=0.25,
    pass_overhead_us=3.0,
    precision="float32",
)


def small(**changes):
    """A space of three rows and a head in which everything that a space allows is a choice."""
    wide = {"choice": [8, 16], "name": "wide"}
    row = {"block": "ib", "expand_ratio": {"choice": [1, 2]}, "out_channels": wide}
    given = {
        "name": "small",
        "input": [3, {"choice": [16, 24], "name": "side"}, {"choice": [16, 24], "name": "side"}],
        "conventions": {"padding": {"choice": ["symmetric", "same"]}},
        "num_classes": {"choice": [5, 10]},
        "stem": [{"block": "conv", "out_channels": {"choice": [8, 12]}, "repeat": {"choice": [1, 2]}}],
        "stages": [
            {"blocks": [{"choice": [None, {"block": "conv", "stride": 2, "out_channels": {"choice": [8, 24]}}]}]},
            {"depth": {"choice": [0, 2]}, "blocks": [row, {**row, "kernel": {"choice": [3, 5]}}]},
        ],
        "head": {"choice": [{"head": "pooled", "conv_channels": {"choice": [16, 32]}}, {"head": "tokens"}]},
    }
    return parse_space({**given, **changes}, source="small.yaml")


@pytest.mark.parametrize("name", list_spaces())
def test_equals_counting_the_networks(name):
    space, rng, roofline = load_space(name), np.random.default_rng(7), Roofline(BOARD)
    table = compile_space(space)
    macs, params, ms = table.macs(), table.params(), table.latency_ms(roofline)
    rows = table.sample(rng, 6)
    drawn = [table.assignment(row) for row in rows] + [space.sample_assignment(rng) for _ in range(6)]
    vectorised = list(zip(macs(rows), params(rows), ms(rows), strict=True))
    for index, assignment in enumerate(drawn):
        network = space.decode(assignment)
        counted = cost(network)
        found = (macs.one(assignment), params.one(assignment), ms.one(assignment))
        assert found[:2] == (counted.macs, counted.params)
        assert found[2] == pytest.approx(roofline.latency(network).ms, rel=1e-12)
        assert index >= len(rows) or found == vectorised[index]


def test_one_network_in_seven_of_a_space_where_everything_is_a_choice():
    space = small()
    table = compile_space(space)
    options = [len(choice.options) for choice in space.choices]
    every = np.stack(np.meshgrid(*map(np.arange, options), indexing="ij"), axis=-1).reshape(-1, len(options))
    counted = [cost(space.decode(table.assignment(row)), form="deploy").macs for row in every[::7]]
    assert table.macs("deploy")(every[::7]).tolist() == counted
    assert len(set(counted)) > 100
    assert table.size < len(every)


def test_forms_differ_where_branches_are_folded():
    table = compile_space(load_space("mobileone_32px"))
    rows = table.sample(np.random.default_rng(0), 20)
    for row, trained, shipped in zip(rows, table.params("train")(rows), table.params("deploy")(rows), strict=True):
        network = table.space.decode(table.assignment(row))
        assert (trained, shipped) == (cost(network).params, cost(network, form="deploy").params)
        assert trained > shipped


def test_a_price_of_one_s_own_such_as_tabled_milliseconds():
    space = load_space("mobilenetv4_conv_32px")
    table = compile_space(space)
    asked = []

    def price(site):
        asked.append(site)
        return 0.001 * len(place_row(*site, deploy=True).layers)

    tabled = table.priced(price, constant=0.5)
    assert len(asked) == len(set(asked)) < table.size
    for seed in range(20):
        assignment = space.sample_assignment(np.random.default_rng(seed))
        layers = lower(space.decode(assignment), deploy=True)
        assert tabled.one(assignment) == pytest.approx(0.5 + 0.001 * len(layers), rel=1e-12)


def test_samples_are_those_of_the_space():
    space = small()
    table, rng = compile_space(space), np.random.default_rng(3)
    macs, rows = table.macs(), table.sample(rng, 10_000)
    drawn = [macs.one(space.sample_assignment(rng)) for _ in range(3000)]
    tenths = [0.1, 0.3, 0.5, 0.7, 0.9]
    assert [len(set(column)) for column in rows.T.tolist()] == [len(choice.options) for choice in space.choices]
    assert np.quantile(macs(rows), tenths) == pytest.approx(np.quantile(drawn, tenths), rel=0.1)
    assert [macs.one(table.assignment(row)) for row in rows[::97]] == macs(rows)[::97].tolist()


def test_impossible_combinations_cost_nan():
    strided = {"block": "uib", "start_kernel": {"choice": [0, 3]}, "middle_kernel": {"choice": [0, 3]}, "stride": 2}
    space = small(
        stages=[{"blocks": [{**strided, "expand_ratio": 2, "out_channels": 8}, {"block": "conv", "out_channels": 8}]}]
    )
    table = compile_space(space)
    names = table.names
    rows = table.sample(np.random.default_rng(0), 50)
    kernels = rows[:, [names.index(f"stages.0.blocks.0.{which}_kernel") for which in ("start", "middle")]]
    lost = (kernels == 0).all(axis=1)
    assert lost.any()
    assert np.isnan(table.macs()(rows)).tolist() == lost.tolist()
    with pytest.raises(ArchitectureError):
        space.decode(table.assignment(rows[lost][0]))


def test_what_is_no_assignment_is_refused():
    table = compile_space(small())
    macs, good = table.macs(), table.sample(np.random.default_rng(0), 3).astype(int)
    for wrong, told in ((-1, "is -1. Allowed: 0 to 1"), (2, "is 2. Allowed: 0 to 1")):
        bad = good.copy()
        bad[1, table.names.index("wide")] = wrong
        with pytest.raises(InputError, match=f"choice 'wide' {told}"):
            macs(bad)
        with pytest.raises(InputError, match=f"choice 'wide' {told}"):
            macs.one(table.assignment(bad[1]))
    with pytest.raises(InputError, match=r"float64 of shape \(3, \d+\)\. Allowed: whole numbers"):
        macs(good.astype(float))
    with pytest.raises(InputError, match=r"of shape \(3,\)\. Allowed: whole numbers of shape \(networks, "):
        macs(good[:, 0])
    assert macs(good[:0]).tolist() == []


def test_a_missing_choice_is_told_only_where_it_is_open():
    space = small()
    macs = compile_space(space).macs()
    whole = {choice.name: 0 for choice in space.choices} | {"stages.1.depth": 1}
    shallow = {name: index for name, index in whole.items() if name != "wide"} | {"stages.1.depth": 0}
    assert macs.one(shallow) == cost(space.decode(shallow)).macs
    with pytest.raises(InputError, match=r"choice 'wide' is missing\. Allowed: 0 to 1"):
        macs.one(shallow | {"stages.1.depth": 1})
    assert macs.one(whole | {"unheard of": 7}) == macs.one(whole)


def test_a_missing_choice_is_told_even_where_another_option_gives_the_same_row():
    either = {"choice": [8, {"choice": [8, 16], "name": "inner"}], "name": "outer"}
    macs = compile_space(small(stages=[{"blocks": [{"block": "conv", "out_channels": either}]}])).macs()
    whole = dict.fromkeys(["stem.0.out_channels", "stem.0.repeat", "side", "num_classes", "head"], 0)
    whole |= {"conventions.padding": 0, "head.0.conv_channels": 0, "outer": 0}
    assert macs.one(whole) == macs.one(whole | {"outer": 1, "inner": 0})
    with pytest.raises(InputError, match="choice 'inner' is missing"):
        macs.one(whole | {"outer": 1})


def test_a_space_that_is_too_entangled_is_refused_with_what_to_do():
    skipped = [
        {"choice": [None, {"block": "conv", "out_channels": {"choice": list(range(8, 80, 8))}}]} for _ in range(8)
    ]
    with pytest.raises(InputError, match=r"small: what stages\.0\.\d is depends on \d+ choices.*share their widths"):
        compile_space(small(stages=[{"blocks": skipped}]))
