"""What of a network stays in float when it is quantised: operators that usual 8-bit kernels do not have.

They have convolutions, matrix products, ReLU and ReLU6, additions and pools. Everything else is computed in float
between two conversions, or takes the network off an accelerator.

Source: what the int8 networks of MobileNetV4 (arXiv:2404.10518, section 2), EfficientNet-Lite and EfficientNet-EdgeTPU
leave out for that; partitions of files in docs/runtimes.md.
"""

from ridgepoint.arch.attention import HeadAttention
from ridgepoint.arch.layer import Activation, LayerNorm, MultiQueryAttention, SelfAttention
from ridgepoint.arch.network import Network, lower
from ridgepoint.arch.norms import GroupNorm, ResponseNorm, RmsNorm

IN_8_BITS = ("none", "relu", "relu6")
_NORMS = (GroupNorm, LayerNorm, ResponseNorm, RmsNorm)
_ATTENTION = (HeadAttention, MultiQueryAttention, SelfAttention)


def in_float(network: Network) -> tuple[str, ...]:
    """The kinds of operators of its deploy form that stay in float, sorted; none of a network made for 8 bits."""
    found: set[str] = set()
    for placed in lower(network, deploy=True):
        layer = placed.layer
        if isinstance(layer, Activation) and layer.kind not in IN_8_BITS:
            found.add(layer.kind)
        elif isinstance(layer, _NORMS):
            found.add(type(layer).__name__.lower())
        elif isinstance(layer, _ATTENTION):
            found.add("attention")
    return tuple(sorted(found))
