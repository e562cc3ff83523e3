"""A depthwise convolution whose weights learn on a CPU at the speed of the rest of the network.

oneDNN has a fast weight gradient for depthwise kernels of at most three columns that lie inside the map. Of larger ones
it takes 2 to 300 times as long, and then most of a training step: so this gradient is put together from such parts.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COLUMNS = 3


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 that keeps the map's size; its answer is that of `nn.Conv2d`, bit by bit.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; only what learns on a CPU, as it is, takes the other way back."""
        traced = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
        learns = torch.is_grad_enabled() and self.weight.requires_grad and x.device.type == "cpu"
        if learns and not traced and not torch.is_autocast_enabled("cpu"):
            return _Convolution.apply(x, self.weight, self.bias)
        return super().forward(x)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_x, of_weight, of_bias = ctx.needs_input_grad
        padding = weight.shape[2] // 2
        return (
            _gradients(gradient, x, weight, padding=padding, of=0) if of_x else None,
            _weight_gradient(gradient, x, weight) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Strip by strip; what reaches over the whole map and beyond meets only padding, and is left out."""
    height, width = x.shape[2:]
    padding = weight.shape[2] // 2
    up, left = min(padding, height - 1), min(padding, width - 1)
    padded = F.pad(x, (left, left, up, up))
    reaching = weight[:, :, padding - up : padding + up + 1, padding - left : padding + left + 1]
    strips = [
        _gradients(gradient, padded[..., first : first + width - 1 + strip.shape[3]], strip, padding=0, of=1)
        for first, strip in zip(range(0, 2 * left + 1, COLUMNS), reaching.split(COLUMNS, 3), strict=True)
    ]
    return F.pad(torch.cat(strips, 3), (padding - left, padding - left, padding - up, padding - up))


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, *, padding: int, of: int) -> Tensor:
    """Torch's gradient of the input (0) or of the weight (1)."""
    mask = [of == 0, of == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], len(weight), mask
    )
    return found[of]
