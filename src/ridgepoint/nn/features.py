"""Feature maps at several strides, for detection and segmentation."""

from collections.abc import Sequence

from torch import Tensor, nn

from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.arch.network import place_blocks
from ridgepoint.errors import InputError
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.layers import Chain


class FeatureNetwork(nn.Module):
    """The last map at each resolution, finest first: what timm's `features_only` gives.

    Where the pool is followed by a hidden layer (MobileNetV3, V4), the head's convolution belongs to the last map.
    Tokens come back as a map. Module paths are those of the whole network.

    Attributes:
        strides: Input pixels per position along one side, per map.
        channels: Channels per map.

    Shape: (B, channels, H, W) -> a list of (B, C_i, ceil(H / stride_i), ceil(W / stride_i)).
    """

    def __init__(self, model: BuiltNetwork, out_indices: Sequence[int] | None = None):
        super().__init__()
        self.network = model.network
        self.stem, self.stages = model.stem, model.stages
        head = model.network.head
        conv_channels = head.conv_channels if isinstance(head, PooledHead) and head.hidden_channels else None
        self.head = Chain()
        if conv_channels:
            self.head.add_module("conv", model.head.get_submodule("conv"))
        taps = _taps(model, conv_channels)
        chosen = range(len(taps)) if out_indices is None else out_indices
        if any(not -len(taps) <= index < len(taps) for index in chosen):
            raise InputError(
                f"out_indices is {list(chosen)}; {self.network.name} has the maps 0 to {len(taps) - 1} at strides "
                f"{[stride for _, stride, _ in taps]}"
            )
        kept = [taps[index % len(taps)] for index in chosen]
        self.taps = tuple(path for path, _, _ in kept)
        self.strides = tuple(stride for _, stride, _ in kept)
        self.channels = tuple(channels for _, _, channels in kept)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run the body and collect the maps, in the order of `channels`."""
        found: dict[str, Tensor] = {}
        size = x.shape[-2:]
        for path, block in _walk(self):
            x = block(x)
            if x.dim() == 4:
                size = x.shape[-2:]
            if path in self.taps:
                found[path] = x if x.dim() == 4 else x.transpose(1, 2).unflatten(2, size)
        return [found[path] for path in self.taps]


def _walk(model: "BuiltNetwork | FeatureNetwork") -> list[tuple[str, nn.Module]]:
    rows = [(f"stem.{index}", block) for index, block in enumerate(model.stem)]
    for number, stage in enumerate(model.stages):
        rows += [(f"stages.{number}.{index}", block) for index, block in enumerate(stage.children())]
    return [*rows, ("head", model.head)]


def _taps(model: BuiltNetwork, conv_channels: int | None) -> list[tuple[str, int, int]]:
    """Path, stride and channels of the last block at each stride from 2 on."""
    taps: dict[int, tuple[str, int, int]] = {}
    stride = 1
    for placed in place_blocks(model.network):
        if placed.path == "head":
            break
        stride *= placed.block.reduction
        taps[stride] = (placed.path, stride, placed.output.channels)
    if conv_channels:
        taps[stride] = ("head", stride, conv_channels)
    rows = list(taps.values())
    # EfficientFormer's first stride-2 map lies inside its stem and is no tap in timm either.
    return [row for row in rows if not (row[0].startswith("stem.") and row[0] != f"stem.{len(model.stem) - 1}")]
