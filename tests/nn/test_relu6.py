"""ReLU6 that learns from its answer."""

import pytest
import torch
from torch import nn

from ridgepoint.arch.zoo import load
from ridgepoint.nn.build import build
from ridgepoint.nn.relu6 import ReLU6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_answer_and_gradient_are_torchs_bit_by_bit(dtype: torch.dtype):
    x = torch.linspace(-3, 9, 97, dtype=dtype)  # with 0 and 6 themselves
    x = torch.cat([x, torch.tensor([0.0, 6.0, float("inf"), float("nan")], dtype=dtype)])
    weights, found = torch.linspace(1, 2, len(x), dtype=dtype), []
    for kind in (ReLU6(), nn.ReLU6(inplace=True), nn.ReLU6()):
        given = x.clone().requires_grad_()
        answer = kind(given * 1)
        (answer * weights).sum().backward()
        found.append((answer, given.grad))
    for answer, gradient in found[1:]:
        torch.testing.assert_close(found[0][0], answer, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(found[0][1], gradient, rtol=0, atol=0, equal_nan=True)


def test_nothing_of_the_input_is_kept_for_the_way_back():
    kept: list[torch.Tensor] = []
    given = torch.randn(5, requires_grad=True) * 1
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        answer = ReLU6()(given)
    assert [each.data_ptr() for each in kept] == [answer.data_ptr()]


def test_networks_have_it_and_torch_records_its_own_operator():
    model = build(load("mobilenetv2_100").at(height=32).with_classes(3)).eval()
    assert any(isinstance(module, ReLU6) for module in model.modules())
    graph = torch.export.export(model, (torch.zeros(1, 3, 32, 32),)).graph
    targets = {str(node.target) for node in graph.nodes if node.op == "call_function"}
    assert any("hardtanh" in target or "relu6" in target for target in targets)
