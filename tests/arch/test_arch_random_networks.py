"""Random networks from the language: they round-trip, build, learn, fold, and count the same three ways."""

import copy
import json

import msgspec
import torch
import yaml
from arch_strategies import examples, networks
from hypothesis import HealthCheck, given, settings
from mac_hooks import macs_by_hooks
from torch import nn

from ridgepoint.arch.blocks.repvit import RepViTReduction
from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.network import Network, Stage, lower, place_blocks
from ridgepoint.cost.count import cost
from ridgepoint.nn.build import build
from ridgepoint.nn.count import count, macs_by_module
from ridgepoint.nn.fuse import fuse

few = settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=examples(60), deadline=None)


@many
@given(networks())
def test_yaml_and_json_read_back_as_an_equal_network(network: Network):
    text = dump_network(network)
    assert parse_network(yaml.safe_load(text), source="law") == network
    assert parse_network(json.loads(msgspec.json.encode(network)), source="law") == network
    again = parse_network(yaml.safe_load(text), source="law")
    assert hash(again) == hash(network)
    assert again.digest == network.digest


def test_equal_blocks_whose_stride_is_the_kinds_own_stay_two_rows():
    down = RepViTReduction(first_channels=8, out_channels=8, expand_channels=8)
    stage = Stage(blocks=(down, down, down.unstrided()))
    network = Network(name="twice", input=(3, 16, 16), stem=(), stages=(stage,))
    assert parse_network(yaml.safe_load(dump_network(network)), source="law") == network


@few
@given(networks())
def test_it_runs_and_every_parameter_gets_a_gradient(network: Network):
    model = build(network).train()
    x = torch.randn(2, *network.input)
    out = model(x)
    assert out.shape == (2, network.num_classes)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@few
@given(networks())
def test_cost_the_built_module_and_torchs_counter_agree(network: Network):
    for form in ("train", "deploy"):
        model = build(network).eval()
        model = fuse(model) if form == "deploy" else model
        wanted = cost(network, form=form)
        hooked, by_module = macs_by_hooks(model, network.input), macs_by_module(model, network.input)
        assert count(model, network.input).params == wanted.params
        placed = lower(network, deploy=form == "deploy")
        assert sum(at.layer.macs(*at.inputs) for at in placed) == wanted.macs
        assert sum(at.layer.params() for at in placed) == wanted.params
        assert hooked.get("", 0) == wanted.macs
        assert by_module.get("Global", 0) == wanted.macs
        for path, block in wanted.blocks.items():
            assert hooked.get(path, 0) == block.macs, path
            assert by_module.get(f"BuiltNetwork.{path}", 0) == block.macs, path
            assert sum(p.numel() for p in model.get_submodule(path).parameters()) == block.params, path


@few
@given(networks())
def test_shapes_are_those_that_flow_through_the_module(network: Network):
    seen = {}
    model = build(network).eval()
    for placed in place_blocks(network):
        module = model.get_submodule(placed.path)
        module.register_forward_hook(lambda _m, _i, out, path=placed.path: seen.update({path: tuple(out.shape[1:])}))
    model(torch.zeros(1, *network.input))
    for placed in place_blocks(network):
        shape = placed.output
        expected = {
            "map": (shape.channels, shape.height, shape.width),
            "tokens": (shape.positions, shape.channels),
            "vector": (shape.channels,),
        }[shape.layout]
        assert seen[placed.path] == expected, placed.path


@few
@given(networks())
@torch.no_grad()
def test_folding_keeps_the_answer_and_never_adds_work(network: Network):
    model = build(network).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    model.eval()
    x = torch.randn(2, *network.input, dtype=torch.float64)
    expected, got = model(x), fuse(copy.deepcopy(model))(x)
    assert (expected - got).abs().max() <= 1e-9 * expected.abs().max() + 1e-12
    train, deploy = cost(network), cost(network, form="deploy")
    assert deploy.macs <= train.macs
    assert len(deploy.layers) <= len(train.layers)
