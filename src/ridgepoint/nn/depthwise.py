"""A depthwise convolution whose weights learn on a CPU at the speed of the rest of the network.

oneDNN has a fast weight gradient for depthwise kernels of at most three columns that lie inside the map. Of larger ones
it takes up to 300 times as long, and then most of a training step: so this gradient is put together from such parts.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ridgepoint.nn.recorded import recorded

COLUMNS = 3


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution padded by half its kernel; its answer is that of `nn.Conv2d`, bit by bit.

    Shape: (B, C, H, W) -> (B, C, ceil(H/stride), ceil(W/stride)).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; only what learns on a CPU, as it is, takes the other way back."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad and x.device.type == "cpu"
        if learns and not recorded() and not torch.is_autocast_enabled("cpu"):
            answer: Tensor = _Convolution.apply(x, self.weight, self.bias, self.stride[0])
            return answer
        return super().forward(x)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        padding = weight.shape[2] // 2
        return (
            _gradients(gradient, x, weight, stride=ctx.stride, padding=padding, of=0) if of_x else None,
            _weight_gradient(gradient, x, weight, ctx.stride) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """By every `stride`-th row and column, so that all strides are 1, and there in strips of columns."""
    rows, columns = (_Reach(x.shape[axis], gradient.shape[axis], weight.shape[axis], stride) for axis in (2, 3))
    padded = F.pad(x, (*columns.padding, *rows.padding))
    found = torch.zeros_like(weight)
    part = found[:, :, rows.taps, columns.taps]
    for row, column in itertools.product(range(stride), repeat=2):
        phase = part[:, :, row::stride, column::stride]
        if phase.numel():
            phase.copy_(_by_strips(gradient, padded[:, :, row::stride, column::stride], phase.shape))
    return found


def _by_strips(gradient: Tensor, x: Tensor, shape: torch.Size) -> Tensor:
    """The gradient of a weight of some shape, whose answer has one pixel wherever the kernel lies inside the input."""
    high, wide = (size - 1 for size in gradient.shape[2:])
    strips = [
        _gradients(
            gradient,
            x[:, :, : high + shape[2], first : min(first + COLUMNS, shape[3]) + wide],
            gradient.new_empty(*shape[:3], min(COLUMNS, shape[3] - first)),
            stride=1,
            padding=0,
            of=1,
        )
        for first in range(0, shape[3], COLUMNS)
    ]
    return torch.cat(strips, 3)


class _Reach:
    """Along one axis, the taps of a kernel that ever meet a pixel, and how far these reach over the map's two ends."""

    def __init__(self, pixels: int, outputs: int, kernel: int, stride: int):
        half, last_centre = kernel // 2, stride * (outputs - 1)
        first, last = max(half - last_centre, 0), min(half + pixels, kernel) - 1
        self.taps = slice(first, last + 1)
        self.padding = (half - first, last_centre + last - half - (pixels - 1))


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, *, stride: int, padding: int, of: int) -> Tensor:
    """Torch's gradient of the input (0) or of the weight (1)."""
    mask = [of == 0, of == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), mask
    )
    return found[of]
