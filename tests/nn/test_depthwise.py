import pytest
import torch
from torch import Tensor, nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.nn.build import build
from ridgepoint.nn.depthwise import DepthwiseConv2d

FORMATS = [torch.contiguous_format, torch.channels_last]


def learnt(convolution: nn.Module, x: Tensor) -> list[Tensor]:
    """The answer, and the gradients of input, weight and bias for a loss that weighs every pixel otherwise."""
    given = x.clone().requires_grad_()
    answer = convolution(given)
    (answer * torch.linspace(-1, 1, answer.numel(), dtype=x.dtype).view_as(answer)).sum().backward()
    return [answer, given.grad, *(parameter.grad for parameter in convolution.parameters())]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel", [5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (2, 5), (4, 4), (6, 3), (9, 12)])
def test_gradients_are_torchs(
    height: int, width: int, stride: int, kernel: int, bias: bool, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    settings = {"stride": stride, "padding": kernel // 2, "groups": 6, "bias": bias}
    ours, theirs = (kind(6, 6, kernel, **settings).double() for kind in (DepthwiseConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, height, width, dtype=torch.float64).to(memory_format=memory_format)
    for one, other in zip(learnt(ours, x), learnt(theirs, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_the_answer_is_torchs_bit_by_bit_whether_it_learns_or_not(memory_format: torch.memory_format) -> None:
    ours, theirs = (kind(32, 32, 5, padding=2, groups=32) for kind in (DepthwiseConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 32, 8, 8).to(memory_format=memory_format)
    expected = theirs(x)
    assert torch.equal(ours(x), expected)
    assert ours(x).stride() == expected.stride()
    with torch.no_grad():
        assert torch.equal(ours(x), expected)


def test_it_can_be_differentiated_twice() -> None:
    convolution = DepthwiseConv2d(2, 2, 5, padding=2, groups=2).double()
    torch.autograd.gradgradcheck(convolution, torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True))


def test_under_autocast_it_computes_as_torch_does() -> None:
    ours, theirs = (kind(8, 8, 5, padding=2, groups=8) for kind in (DepthwiseConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = learnt(ours, x), learnt(theirs, x)
    assert found[0].dtype == torch.bfloat16
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def wide_kernels(network: Network) -> set[type[nn.Module]]:
    convolutions = [module for module in build(network).modules() if isinstance(module, nn.Conv2d)]
    return {type(each) for each in convolutions if each.groups > 1 and each.kernel_size > (3, 3)}


def test_networks_are_built_of_it() -> None:
    assert wide_kernels(load("mobilenetv4_conv_small")) == {DepthwiseConv2d}


def test_a_network_that_learns_can_be_exported() -> None:
    model = build(load("mobilenetv3_small_100").at(height=32)).eval()
    x = torch.randn(1, 3, 32, 32)
    program = torch.export.export(model, (x,))
    assert not [node for node in program.graph.nodes if "autograd" in str(node.target)]
    torch.testing.assert_close(program.module()(x), model(x))
