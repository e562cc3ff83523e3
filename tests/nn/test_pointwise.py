import pytest
import torch
from torch import Tensor, nn

from ridgepoint.arch.zoo import load
from ridgepoint.nn.build import build
from ridgepoint.nn.pointwise import PointwiseConv2d
from ridgepoint.train.accelerator import one_thread

FORMATS = [torch.contiguous_format, torch.channels_last]


def learnt(convolution: nn.Module, x: Tensor) -> list[Tensor]:
    """The answer, and the gradients of input, weight and bias for a loss that weighs every pixel otherwise."""
    given = x.clone().requires_grad_()
    answer = convolution(given)
    (answer * torch.linspace(-1, 1, answer.numel(), dtype=x.dtype).view_as(answer)).mean().backward()
    return [answer, given.grad, *(parameter.grad for parameter in convolution.parameters())]


def pair(channels: int = 6, *, bias: bool = True) -> tuple[nn.Module, nn.Module]:
    """Ours and torch's, of the same weights."""
    torch.manual_seed(0)
    ours, theirs = (kind(channels, 5, 1, bias=bias) for kind in (PointwiseConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", [1, 8, 15, 16])
@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (5, 5), (4, 6), (67, 1), (20, 20)])
def test_answer_and_gradients_are_torchs(
    height: int, width: int, batch: int, bias: bool, memory_format: torch.memory_format
):
    ours, theirs = pair(bias=bias)
    x = torch.randn(batch, 6, height, width).to(memory_format=memory_format)
    with one_thread():
        found, expected = learnt(ours, x), learnt(theirs, x)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def profiled(x: Tensor) -> set[str]:
    """What torch runs for a step of ours."""
    ours, _ = pair()
    with one_thread(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        learnt(ours, x)
    return {event.key for event in found.key_averages()}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_few_images_on_one_thread_learn_through_onednn():
    ran = profiled(torch.randn(8, 6, 20, 20).to(memory_format=torch.channels_last))
    assert "aten::mkldnn_convolution" in ran
    assert not any("slow_conv2d" in name for name in ran)


def test_what_does_not_learn_is_torchs_bit_by_bit():
    ours, theirs = pair()
    x = torch.randn(2, 6, 8, 8).to(memory_format=torch.channels_last)
    with one_thread(), torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_a_network_that_learns_is_recorded_as_it_is_meant():
    model = build(load("mobilenetv3_small_100").at(height=32)).eval()
    assert any(type(each) is PointwiseConv2d for each in model.modules())
    with one_thread():
        program = torch.export.export(model, (torch.randn(1, 3, 32, 32).to(memory_format=torch.channels_last),))
    assert not [node for node in program.graph.nodes if "permute" in str(node.target)]
