"""The supernet: a child's path and the child extracted from it are one function; what is shared is shared."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from torch.utils.flop_counter import FlopCounterMode

from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.cost.count import cost
from ridgepoint.nn.supernet import Step, Supernet

SMALL = [name for name in list_spaces() if name.endswith("_32px")]


def supernet(space: Space) -> Supernet:
    torch.manual_seed(0)
    return Supernet(space).double()


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def space_of(*rows: object, channels: int = 4) -> Space:
    """One stage of the given rows on 8x8 maps, and a linear head."""
    return parse_space(
        {"name": "tiny", "input": [channels, 8, 8], "stages": [{"blocks": list(rows)}], "num_classes": 3}, source="tiny"
    )


def check_children(space: Space, *, side: int, count: int) -> None:
    """The supernet's path and the extracted network agree, in their outputs and in their gradients for the images."""
    net, rng = supernet(space), np.random.default_rng(3)
    for _ in range(count):
        assignment = space.sample_assignment(rng)
        child = net.extract(assignment).train()
        outputs = []
        for model in (child, lambda x, a=assignment: net(x, net.steps(a))):
            x = images(2, 3, side, side).requires_grad_()
            y = model(x)
            y.square().sum().backward()
            outputs.append((y, x.grad))
        for ours, theirs in zip(*outputs, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_an_extracted_child_is_the_supernets_path(name: str):
    check_children(load_space(name).closed(num_classes=5), side=32, count=3)


def for_photographs() -> Iterator[ParameterSet]:
    """Those with a small one of the same blocks are for `make soak`."""
    for name in [name for name in list_spaces() if name not in SMALL]:
        yield pytest.param(name, marks=[pytest.mark.soak] * (f"{name}_32px" in SMALL))


@pytest.mark.parametrize("name", list(for_photographs()))
def test_an_extracted_child_is_the_supernets_path_in_the_spaces_for_photographs(name: str):
    check_children(load_space(name).closed(num_classes=5, input=[3, 64, 64]), side=64, count=1)


@pytest.mark.parametrize("name", ["mobilenetv4_conv_32px", "mobilenetv3_32px", "mobileone_32px"])
def test_a_part_that_starts_from_another_gives_what_that_gave_for_a_child_of_both(name: str):
    space, rng = load_space(name).closed(num_classes=5), np.random.default_rng(0)
    child = space.sample_assignment(rng)
    some = {choice: option for choice, option in child.items() if rng.random() < 0.5}
    others = {choice: option for choice, option in child.items() if choice not in some}
    one, other = supernet(space.bound(some)), supernet(space.bound(others))
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
    x = images(2, 3, 32, 32)
    before = other(x, other.steps(some))
    assert not torch.allclose(one(x, one.steps(others)), before, atol=1e-3)
    one.start_from(other)
    torch.testing.assert_close(one(x, one.steps(others)), before)


def test_a_supernet_of_another_space_is_no_start():
    with pytest.raises(ValueError, match="a supernet of mobileone_32px cannot start from one of mobilenetv3_32px"):
        supernet(load_space("mobileone_32px")).start_from(supernet(load_space("mobilenetv3_32px")))


@pytest.mark.parametrize("name", ["mobilenetv4_conv_32px", "mobilenetv3_32px", "mobileone_32px"])
def test_a_child_does_its_own_multiplications_and_no_others(name: str):
    space = load_space(name)
    net, rng = supernet(space), np.random.default_rng(0)
    for assignment in (space.complete(lambda choice: 0), space.sample_assignment(rng)):
        with FlopCounterMode(display=False) as counter:
            net(images(1, 3, 32, 32), net.steps(assignment))
        assert counter.get_total_flops() == 2 * cost(space.decode(assignment)).macs


KERNEL = {"choice": [0, 3, 5]}
UIB = {"block": "uib", "start_kernel": KERNEL, "middle_kernel": KERNEL, "expand_ratio": {"choice": [2, 4]}}
WIDTH = {"choice": [8, 16]}


def test_the_1x1_convolutions_serve_every_instantiation_and_each_kernel_size_is_one_tensor():
    net = supernet(space_of({**UIB, "out_channels": WIDTH}))
    shapes = {
        key: tuple(tensor.shape) for key, tensor in net.weights.items() if key.endswith("weight") and "conv" in key
    }
    assert shapes == {
        "0/0/uib/expand/conv/weight": (16, 4, 1, 1),
        "0/0/uib/project/conv/weight": (16, 16, 1, 1),
        "0/0/uib/start_depthwise/conv/3/weight": (4, 1, 3, 3),
        "0/0/uib/start_depthwise/conv/5/weight": (4, 1, 5, 5),
        "0/0/uib/middle_depthwise/conv/3/weight": (16, 1, 3, 3),
        "0/0/uib/middle_depthwise/conv/5/weight": (16, 1, 5, 5),
    }


def test_kernel_sizes_begin_as_one_filter_and_new_ones_as_what_was_learnt():
    row = {"block": "uib", "start_kernel": 0, "middle_kernel": {"choice": [3, 5, 7]}, "expand_ratio": 2}
    space = space_of({**row, "out_channels": 8})
    (name,) = (choice.name for choice in space.choices)
    x = images(2, 4, 8, 8)
    net = supernet(space)
    alike = [net(x, net.steps({name: option})) for option in range(3)]
    torch.testing.assert_close(alike[1], alike[0])
    torch.testing.assert_close(alike[2], alike[0])
    net.weights["0/0/uib/middle_depthwise/conv/7/weight"].data[..., 0, 0] = 1.0
    assert not torch.allclose(net(x, net.steps({name: 2})), alike[0], atol=1e-3), "they are tensors of their own"
    for known, new in ((0, 2), (2, 0)):  # larger with zeros around, smaller without the border
        taught, whole = supernet(space.bound({name: known})), supernet(space)
        (filter_,) = (tensor for key, tensor in taught.weights.items() if "depthwise/conv" in key)
        filter_.data = torch.nn.functional.pad(torch.full((len(filter_), 1, 3, 3), 0.3), (known,) * 4)
        whole.start_from(taught)
        given, got = (whole(x, whole.steps({name: option})) for option in (known, new))
        torch.testing.assert_close(got, given)


def test_only_the_chosen_path_gets_a_gradient_and_only_the_first_channels():
    space = space_of({**UIB, "out_channels": WIDTH})
    net = supernet(space)
    names = {choice.name: choice for choice in space.choices}
    start, middle, ratio, width = names
    net(images(2, 4, 8, 8), net.steps({start: 0, middle: 1, ratio: 0, width: 0})).square().sum().backward()
    got = {key.removeprefix("0/0/uib/"): tensor.grad for key, tensor in net.weights.items() if key.startswith("0/")}
    assert {key for key, grad in got.items() if grad is None and key.endswith("weight")} == {
        f"start_depthwise/{part}/{kernel}/weight" for part in ("conv", "norm") for kernel in (3, 5)
    } | {f"middle_depthwise/{part}/5/weight" for part in ("conv", "norm")}
    assert got["project/conv/weight"][:8, :8].abs().min() > 0
    assert got["project/conv/weight"][8:].abs().max() == 0 == got["project/conv/weight"][:, 8:].abs().max()


def test_blended_children_average_what_differs():
    """The head is linear, so the mean of two convolutions' outputs gives the mean of both children's logits."""
    space = space_of({"block": "conv", "kernel": {"choice": [3, 5, 1]}, "out_channels": 8})
    net, x = supernet(space), images(2, 4, 8, 8)
    (name,) = (choice.name for choice in space.choices)
    each = [net(x, net.steps({name: index})) for index in (0, 1)]
    torch.testing.assert_close(net(x, net.blended([{name: 0}, {name: 1}])), (each[0] + each[1]) / 2)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_block_of_maps_one_of_tokens_and_none_can_be_blended(first: int):
    pool = {"block": "pool_mixer", "expand_ratio": 2}
    attention = {"block": "attention_mixer", "expand_ratio": 2, "heads": 2, "key_dim": 2, "value_dim": 2}
    space = parse_space(
        {
            "name": "tiny",
            "input": [4, 8, 8],
            "conventions": {"layer_scale": 0.5},
            "stages": [{"blocks": [{"choice": [pool, attention, None], "name": "slot"}]}],
            "head": {"head": "tokens", "distilled": False},
        },
        source="tiny",
    )
    net, x = supernet(space), images(2, 4, 8, 8)
    steps = net.blended([{"slot": index} for index in (first, 0, 1, 2)])
    assert len(steps[0].options) == 3
    bodies = [net(x, net.steps({"slot": index})[:-1]) for index in range(3)]
    tokens = [body.flatten(2).transpose(1, 2) if body.dim() == 4 else body for body in bodies]
    given = net(x, steps[:1])
    given = given.flatten(2).transpose(1, 2) if given.dim() == 4 else given
    torch.testing.assert_close(given, sum(tokens) / 3)
    shares = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    order = [steps[0].options.index(net.steps({"slot": i})[0].options[0]) if i < 2 else steps[0].options.index(None)
             for i in range(3)]  # fmt: skip
    shared = net(x, [Step(steps[0].options, shares)])
    shared = shared.flatten(2).transpose(1, 2) if shared.dim() == 4 else shared
    torch.testing.assert_close(shared, sum(shares[at] * tokens[index] for index, at in enumerate(order)))


def slots(*kinds: object) -> Space:
    """Two equal slots, a convolution between them, and a head that takes maps and tokens."""
    slot, conv = {"choice": list(kinds)}, {"block": "conv", "kernel": 3, "out_channels": {"choice": [4, 6]}}
    head = {"conventions": {"layer_scale": 0.5}, "head": {"head": "tokens", "distilled": False}}
    return parse_space(
        {"name": "tiny", "input": [4, 8, 8], "stages": [{"blocks": [slot, slot, conv, slot]}], **head}, source="tiny"
    )


POOL = {"block": "pool_mixer", "expand_ratio": 2}
ATTENTION = {"block": "attention_mixer", "expand_ratio": 2, "heads": 2, "key_dim": 2, "value_dim": 2}


@pytest.mark.parametrize("kinds", [(POOL, ATTENTION, None), (None, ATTENTION, POOL), (ATTENTION, None)])
def test_mixed_rows_with_all_the_weight_on_one_option_are_the_child_with_that_option(kinds):
    space = slots(*kinds)
    net, x, rng = supernet(space), images(2, 4, 8, 8), np.random.default_rng(0)
    rows = [choice.name for choice in space.choices if len(choice.options) == len(kinds) and "out" not in choice.name]
    for _ in range(5):
        child = space.sample_assignment(rng)
        shares = {name: torch.eye(len(kinds), dtype=torch.float64)[child[name]] for name in rows}
        widths = {name: index for name, index in child.items() if name not in rows}
        torch.testing.assert_close(net(x, net.mixed(widths, shares)), net(x, net.steps(child)))


def test_the_gradient_of_a_share_is_what_its_option_adds():
    """One slot before a linear head: the logits are the weighted sum of what the options alone give."""
    space = space_of({"choice": [{"block": "conv", "kernel": kernel, "out_channels": 4} for kernel in (1, 3)]})
    net, x = supernet(space), images(2, 4, 8, 8)
    (name,) = (choice.name for choice in space.choices)
    shares = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    alone = [net(x, net.steps({name: index})) for index in (0, 1)]
    mixed = net(x, net.mixed({}, {name: shares}))
    torch.testing.assert_close(mixed, 0.3 * alone[0] + 0.7 * alone[1])
    mixed.sum().backward()
    linear = net.extract({name: 0}).network.head  # its bias comes with the sum, not with the options
    assert linear is not None
    bias = torch.stack([each.sum() for each in alone]) - shares.grad
    torch.testing.assert_close(bias[0], bias[1])


def test_the_same_seed_gives_the_same_weights():
    space = load_space("mobilenetv4_conv_32px")
    first, second = supernet(space).state_dict(), supernet(space).state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)
