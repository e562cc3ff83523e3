"""A child of its parent: equal ones compute the same, and what is cut away makes no difference where it was zero."""

import copy

import msgspec
import pytest
import torch

from ridgepoint.arch.network import Network
from ridgepoint.arch.shrink import knobs, narrowed, turn
from ridgepoint.arch.zoo import load
from ridgepoint.errors import InheritanceError, InputError
from ridgepoint.nn.axes import Axis, in_groups
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit import _walk, inherit

FAMILIES = {
    "mobilenetv1_100": 32,
    "mobilenetv2_050": 32,
    "mobilenetv3_small_100": 32,
    "tf_mobilenetv3_small_075": 32,
    "mobilenetv4_conv_small_035": 32,
    "mobilenetv4_hybrid_medium_075": 64,
    "mobileone_s0": 32,
    "mobileone_s4": 32,
    "efficientformer_l1": 64,
}


def family(name: str, *, slim: float = 0.5) -> Network:
    """A network of the family for ten classes, narrow and on small images, so that it computes in no time."""
    return narrowed(load(name).at(height=FAMILIES[name]).with_classes(10), slim)


def lively(network: Network, seed: int = 0) -> BuiltNetwork:
    """A module in eval mode whose norms, gains and biases are far from where they start."""
    torch.manual_seed(seed)
    model = build(network)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var") or (name.endswith("norm.weight") and tensor.dim() == 1):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bias")):
                tensor.normal_(0.0, 0.2)
            elif name.endswith("weight") and tensor.dim() == 2:  # logits of attention that are far from equal
                tensor.normal_(0.0, 2.0 * tensor.shape[1] ** -0.5)
            elif name.endswith("gain"):
                tensor.uniform_(0.1, 0.5)
    return model.eval()


def images(network: Network) -> torch.Tensor:
    return torch.randn(2, *network.input, generator=torch.Generator().manual_seed(1))


def silenced(parent: BuiltNetwork, child: Network) -> BuiltNetwork:
    """The parent with everything that the child leaves out set to zero, in what writes it and in what reads it."""
    walk = _walk(child, parent)
    tensors = {key: tensor.clone() for key, tensor in parent.state_dict().items()}
    for taken in walk.taken.values():
        for dim, axis in enumerate(taken.axes):
            if axis is None or taken.key.endswith(("running_mean", "running_var")):
                continue
            gone = torch.ones(tensors[taken.key].shape[dim], dtype=torch.bool)
            gone[axis.kept] = False
            tensors[taken.key].index_fill_(dim, gone.nonzero().flatten(), 0.0)
    parent.load_state_dict(tensors)
    return parent


@torch.no_grad()
def assert_alike(child: BuiltNetwork, parent: BuiltNetwork) -> None:
    x = images(parent.network)
    expected = parent(x)
    assert expected.std() > 1e-3, "the answers depend on something"
    torch.testing.assert_close(child(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_equal_child_computes_the_same_to_the_bit(name: str):
    parent = lively(family(name))
    child = inherit(parent.network, parent)
    assert not child.training and child is not parent
    with torch.no_grad():
        assert torch.equal(child(images(parent.network)), parent(images(parent.network)))


def children(network: Network) -> dict[str, Network]:
    """Children at about half the width of one knob each: at most two knobs of every kind, all over the network."""
    found, every = {}, knobs(network)
    kinds = [[knob for knob in every if knob.kind == kind] for kind in ("bottleneck", "expansion", "heads", "head")]
    for knob in [knob for alike in kinds for knob in alike[:: len(alike) // 2 + 1]]:
        widths = [width for width in knob.narrower if width <= 0.6 * knob.width] or list(knob.narrower)
        if widths and (child := turn(network, knob, widths[0])) is not None:
            found[str(knob)] = child
    return found


def narrows_tokens(child: Network, parent: Network) -> bool:
    """Whether a layer norm would see fewer channels."""
    with_norms = [number for number, stage in enumerate(parent.stages) if "AttentionMixer" in str(stage)]
    return any(child.stages[n].blocks[0] != parent.stages[n].blocks[0] for n in with_norms)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_cut_away_makes_no_difference_where_it_was_zero(name: str):
    network = family(name)
    whole, tried = lively(network), children(network)
    everything = narrowed(network, 0.6)
    assert len(tried) >= 2
    for child in [*tried.values(), everything]:
        if narrows_tokens(child, network):
            continue
        parent = silenced(copy.deepcopy(whole), child)
        assert_alike(inherit(child, parent), parent)


@pytest.mark.parametrize("name", ["mobilenetv4_hybrid_medium_075", "efficientformer_l1"])
def test_attention_with_fewer_and_smaller_heads(name: str):
    network = family(name)

    def smaller(block):
        if not hasattr(block, "heads"):
            return block
        return msgspec.structs.replace(
            block, heads=block.heads // 2, key_dim=block.key_dim // 4, value_dim=block.value_dim // 2
        )

    stages = [msgspec.structs.replace(s, blocks=tuple(smaller(b) for b in s.blocks)) for s in network.stages]
    child = msgspec.structs.replace(network, stages=tuple(stages))
    assert child != network
    parent = silenced(lively(network), child)
    assert_alike(inherit(child, parent), parent)


def test_filters_are_kept_by_their_norm_with_batch_norm_folded_in():
    """By hand: an expansion with filters of growing norm, but the gain of its batch norm makes the last ones small."""
    network = msgspec.structs.replace(load("mobilenetv2_050").at(height=32), stages=load("mobilenetv2_050").stages[:2])
    block = network.stages[1].blocks[1]
    path, width = "stages.1.1.body", block.expand_channels
    model = build(network).eval()
    expand = model.get_submodule(f"{path}.expand")
    with torch.no_grad():
        expand.conv.weight[:] = torch.arange(1, width + 1.0)[:, None, None, None]
        expand.norm.weight[:] = 1.0
        expand.norm.running_var[:] = 1.0
        expand.norm.weight[-8:] = 1e-3
    (knob,) = [knob for knob in knobs(network) if knob.kind == "expansion" and knob.places == ("stages.1.1",)]
    child = inherit(turn(network, knob, width - 16), model)
    kept = child.get_submodule(f"{path}.expand").conv.weight[:, 0, 0, 0]
    assert kept.tolist() == list(range(9, width - 8 + 1)), "without the 8 weakest and the 8 that the norm makes weak"
    project = child.get_submodule(f"{path}.project").conv.weight
    assert torch.equal(project, model.get_submodule(f"{path}.project").conv.weight[:, 8 : width - 8])


def test_residual_blocks_keep_the_same_channels():
    """All that write one bottleneck are summed: a channel that one of them writes strongly stays in all of them."""
    network = family("mobilenetv2_050", slim=1.0)
    (knob,) = [knob for knob in knobs(network) if knob.kind == "bottleneck" and len(knob.places) == 4]
    model = build(network).eval()
    with torch.no_grad():
        for number, place in enumerate(knob.places):
            body = model.get_submodule(place)
            conv = (body.body if hasattr(body, "body") else body).project.conv
            conv.weight[:] = 1e-3
            conv.weight[2 * number] = 1.0  # each block has a favourite of its own: channels 0, 2, 4, 6
    child = inherit(turn(network, knob, 8), model)
    for number, place in enumerate(knob.places):
        body = child.get_submodule(place)
        strong = (body.body if hasattr(body, "body") else body).project.conv.weight.mean((1, 2, 3)) > 0.5
        assert strong.nonzero().flatten().tolist() == [2 * number]


def test_a_shallower_child_gets_the_blocks_that_it_has_and_then_the_first():
    network = family("mobilenetv4_conv_small_035", slim=1.0)
    stage = network.stages[3]
    assert len(set(stage.blocks)) > 2
    without = msgspec.structs.replace(stage, blocks=stage.blocks[:1] + stage.blocks[2:])
    child = msgspec.structs.replace(network, stages=(*network.stages[:3], without))
    parent = lively(network)
    made = inherit(child, parent)
    for mine, theirs in ((0, 0), (1, 2), (2, 3), (4, 5)):
        own = made.get_submodule(f"stages.3.{mine}").state_dict()
        other = parent.get_submodule(f"stages.3.{theirs}").state_dict()
        assert all(torch.equal(own[key], other[key]) for key in own)


def test_a_kernel_is_cropped_or_padded_around_its_centre():
    network = family("mobilenetv2_050")
    wider = msgspec.structs.replace(network.stages[1].blocks[1], kernel=5)
    blocks = (network.stages[1].blocks[0], wider, *network.stages[1].blocks[2:])
    stages = (network.stages[0], msgspec.structs.replace(network.stages[1], blocks=blocks), *network.stages[2:])
    child = msgspec.structs.replace(network, stages=stages)
    parent = lively(network)
    grown = inherit(child, parent)
    assert_alike(grown, parent)
    assert_alike(inherit(network, grown), parent)


def test_wherever_a_child_is_none_the_place_is_named():
    network = family("mobilenetv2_050", slim=1.0)
    parent = build(network)
    block = network.stages[1].blocks[0]

    def with_first(**changes) -> Network:
        blocks = (msgspec.structs.replace(block, **changes), *network.stages[1].blocks[1:])
        stage = msgspec.structs.replace(network.stages[1], blocks=blocks)
        return msgspec.structs.replace(network, stages=(network.stages[0], stage, *network.stages[2:]))

    with pytest.raises(InputError, match=r"stages\.1: its blocks are no narrower form"):
        inherit(with_first(expand_channels=block.expand_channels + 8), parent)
    with pytest.raises(InputError, match=r"stages\.1\.1 is made of other layers"):
        inherit(with_first(out_channels=block.out_channels - 8), parent)
    with pytest.raises(InputError, match="has 9 classes"):
        inherit(network.with_classes(9), parent)
    with pytest.raises(InputError, match="as many stages"):
        inherit(msgspec.structs.replace(network, stages=network.stages[:2]), parent)


def test_groups_of_a_convolution_are_kept_whole_or_not_at_all():
    whole = Axis(8, 4, lambda: torch.tensor([2, 3, 6, 7]))
    assert in_groups(whole, 2).kept.tolist() == [2, 3, 6, 7]
    for torn in ([1, 2, 5, 6], [2, 3, 5, 6], [0, 2, 4, 6]):
        with pytest.raises(InheritanceError, match="some channels of a group"):
            _ = in_groups(Axis(8, 4, lambda torn=torn: torch.tensor(torn)), 2).kept
