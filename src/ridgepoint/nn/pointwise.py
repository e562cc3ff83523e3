"""A 1x1 convolution that learns from small batches on one core at the speed that it has on several.

On one thread torch gives 1x1 convolutions of fewer than 16 images to a loop over matrix products of MKL, those of more
images to oneDNN. Seen on an AMD processor with AVX-512, forward and back: the loop takes 1.7 to 2.7 times as long. A
1x1 convolution does not know where an image ends, so a batch of few images can be given as one of more, smaller ones.
"""

import torch
from torch import Tensor, nn

from ridgepoint.nn.recorded import recorded

ENOUGH = 16
"""Images from which on torch takes oneDNN on one thread.

Source: ``use_mkldnn`` in torch's aten/src/ATen/native/Convolution.cpp.
"""
MOST_PARTS = 64


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1; its answer is that of `nn.Conv2d`, up to rounding where it learns.

    Shape: (B, C, H, W) -> (B, C', H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; in parts of the images where a few of them are learnt from on one thread."""
        parts = 1 if self._as_it_is(x) else _parts(len(x), x.shape[2] * x.shape[3])
        if parts == 1:
            return super().forward(x)
        batch, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1)
        split = pixels.reshape(batch * parts, height * width // parts, 1, channels).permute(0, 3, 1, 2)
        found = super().forward(split).permute(0, 2, 3, 1)
        return found.reshape(batch, height, width, -1).permute(0, 3, 1, 2)

    def _as_it_is(self, x: Tensor) -> bool:
        """Whether torch does well by itself, channels lie apart, or what is done is being recorded."""
        learns = torch.is_grad_enabled() and x.dtype == torch.float32 and x.device.type == "cpu"
        if not learns or len(x) >= ENOUGH or torch.get_num_threads() > 1 or torch.is_autocast_enabled("cpu"):
            return True
        return recorded() or not x.is_contiguous(memory_format=torch.channels_last)


def _parts(batch: int, pixels: int) -> int:
    """Into how many equal parts each image goes, so that there are enough of them; 1 where that is not to be had."""
    least = -(-ENOUGH // batch)
    return next((parts for parts in range(least, min(pixels, MOST_PARTS) + 1) if pixels % parts == 0), 1)
