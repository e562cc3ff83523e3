"""From a network as a value to a torch module. Module paths are the paths of the cost tables."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ridgepoint.arch import layer as spec
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, place
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.taps import tap_paths
from ridgepoint.nn import attention, layers, map_norms, shaping
from ridgepoint.nn.anchored import AnchoredRows
from ridgepoint.nn.depthwise import COLUMNS, DepthwiseConv2d
from ridgepoint.nn.pointwise import PointwiseConv2d
from ridgepoint.nn.relu6 import ReLU6
from ridgepoint.nn.taps import run

ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": ReLU6,
    "hard_swish": nn.Hardswish,
    "hard_sigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
}
MODULES = {**attention.MODULES, **map_norms.MODULES, **shaping.MODULES}
# The 1x1 convolutions around shared-key attention, by their names in its block.
ATTENTION_PROJECTIONS = ("attention.query", "attention.key.project", "attention.value.project", "output")
PREDICTOR_STD = 0.03
IN_PLACE = ("relu", "hard_swish", "silu")


class BuiltNetwork(nn.Module):
    """A network with weights.

    Shape: (B, channels, H, W) -> what its head gives: (B, num_classes), a class map (B, num_classes, H', W'), or rows
    of boxes. H and W may differ from the network's own input size.
    """

    def __init__(self, network: Network, *, drop_rate: float = 0.0, drop_path_rate: float = 0.0):
        super().__init__()
        self.network = network
        placed = {block.path: block for block in place_blocks(network)}
        grid = layers.Grid()
        last = max(len(placed) - 2, 1)
        modules = {
            path: module_of(block.recipe, block.input, grid, drop_rate, drop_path_rate * min(index / last, 1.0))
            for index, (path, block) in enumerate(placed.items())
        }
        self.stem = nn.Sequential(*(modules[f"stem.{i}"] for i in range(len(network.stem))))
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(modules[f"stages.{number}.{i}"] for i in range(len(stage.blocks))))
                for number, stage in enumerate(network.stages)
            )
        )
        self.head = modules["head"]
        self.taps = tap_paths(network.head.taps, [(path, block.reduction) for path, block in network.rows()])
        initialise(self)
        if network.head.answers == "a class map":
            initialise_class_map(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Stem, stages, head."""
        answer: Tensor
        if not self.taps:
            answer = self.head(self.stages(self.stem(x)))
            return answer
        found = {"": x}
        last = run(self.stages, run(self.stem, x, "stem", self.taps, found), "stages", self.taps, found)
        answer = self.head((last, *(found[path] for path in self.taps)))
        return answer


def build(
    network: Network,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> BuiltNetwork:
    """A module with fresh weights for a network.

    Args:
        network: The architecture.
        num_classes: Overrides the network's number of classes.
        in_channels: Overrides the network's input channels.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.

    Raises:
        ArchitectureError: If the network is impossible.
    """
    network = network.with_classes(num_classes or network.num_classes).at(channels=in_channels)
    return BuiltNetwork(network, drop_rate=drop_rate, drop_path_rate=drop_path_rate)


def module_of(recipe: Recipe, shape: Shape, grid: layers.Grid, drop_rate: float, path_rate: float) -> nn.Module:
    """The module of a recipe whose input has the given shape."""
    if isinstance(recipe, Chain):
        chain = layers.Chain()
        for name, part in recipe.parts:
            chain.add_module(name, module_of(part, shape, grid, drop_rate, path_rate))
            _, shape = place(part, shape, name)
        return chain
    if isinstance(recipe, Parallel):
        branches = {name: module_of(part, shape, grid, drop_rate, path_rate) for name, part in recipe.branches}
        return layers.Parallel(branches, _leaf(recipe.join, shape, grid, drop_rate, path_rate))
    return _leaf(recipe, shape, grid, drop_rate, path_rate)


def _leaf(layer: spec.Layer, shape: Shape, grid: layers.Grid, drop_rate: float, path_rate: float) -> nn.Module:
    if type(layer) in MODULES:
        return MODULES[type(layer)](layer, shape)
    match layer:
        case spec.Conv2d():
            return _conv(layer)
        case spec.SharedConv2d():
            own = layer.conv
            return layers.SharedConv2d(
                own.in_channels,
                own.out_channels,
                own.kernel,
                padding=own.kernel // 2,
                groups=own.groups,
                bias=own.bias,
            )
        case spec.Linear():
            return nn.Linear(layer.in_features, layer.out_features, bias=layer.bias)
        case spec.BatchNorm():
            norm = nn.BatchNorm1d if shape.layout == "vector" else nn.BatchNorm2d
            return norm(layer.channels, eps=layer.eps, momentum=layer.momentum)
        case spec.Activation():
            kind = ACTIVATIONS[layer.kind]
            return kind(inplace=True) if layer.kind in IN_PLACE else kind()
        case spec.LayerScale():
            return layers.LayerScale(layer.channels, layer.init, tokens=shape.layout == "tokens")
        case spec.StochasticDepth():
            return layers.StochasticDepth(path_rate)
        case spec.Dropout():
            return nn.Dropout(drop_rate)
        case spec.AveragePool():
            return layers.AveragePool(layer.kernel)
        case spec.ToTokens():
            return layers.ToTokens(grid)
        case spec.ToMap():
            return layers.ToMap(grid)
        case spec.ToVector():
            return nn.Flatten()
        case spec.SelfAttention():
            return layers.SelfAttention(layer, grid)
        case spec.MultiQueryAttention():
            return layers.MultiQueryAttention(layer)
        case spec.Pick():
            return layers.Pick(layer.index)
        case spec.ToRows():
            return layers.ToRows(layer.columns)
        case spec.AnchoredRows():
            return AnchoredRows(layer.anchors, layer.scores)
        case (
            spec.GlobalPool()
            | spec.Add()
            | spec.Subtract()
            | spec.Gate()
            | spec.Average()
            | spec.Resize()
            | spec.Concat()
            | spec.Bundle()
        ):
            join: nn.Module = getattr(layers, type(layer).__name__)()
            return join
    raise AssertionError(f"no module for {layer}")


def _conv(layer: spec.Conv2d) -> nn.Conv2d:
    same = layer.padding == "same" and layer.stride > 1
    wide = layer.groups == layer.in_channels == layer.out_channels and layer.kernel > COLUMNS and layer.dilation == 1
    point = layer.kernel == layer.stride == layer.groups == 1
    kind = layers.SameConv2d if same else DepthwiseConv2d if wide else PointwiseConv2d if point else nn.Conv2d
    return kind(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        stride=layer.stride,
        padding=_margin(layer),
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
    )


def _margin(layer: spec.Conv2d) -> int:
    """Padding on every side; SAME pads by itself where there is a stride."""
    if isinstance(layer, spec.PatchConv2d):
        return layer.margin
    same = layer.padding == "same" and layer.stride > 1
    return 0 if same else layer.dilation * (layer.kernel // 2)


@torch.no_grad()
def initialise_class_map(head: nn.Module) -> None:
    """Small weights for convolutions with a bias, of which a class map is made.

    By fan-out the few channels of a map would start with logits of order 10, and the first steps be spent on that.

    Source: torchvision's heads, which leave such convolutions at torch's default, a spread of 1 / sqrt(3 fan-in).
    """
    for module in head.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            fan_in = module.kernel_size[0] * module.kernel_size[1] * module.in_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(1.0 / (3 * fan_in)))


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Fresh weights: convolutions normal by fan-out, linear layers normal with std 0.02, biases 0.

    The 1x1 convolutions around shared-key attention are Xavier-uniform: by fan-out the few key channels would get
    logits so large that softmax starts as an argmax.

    The last convolutions of a detector start near zero, so that its first boxes are its anchors.

    Source: MobileNetV2's and timm's practice; torchvision's for detectors; EfficientFormer uses std 0.02 for its linear
    layers; timm for attention.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in model.modules():
        attends = getattr(module, "attention", None)
        if isinstance(attends, layers.Parallel) and isinstance(attends.join, layers.MultiQueryAttention):
            for part in ATTENTION_PROJECTIONS:
                nn.init.xavier_uniform_(module.get_parameter(f"{part}.weight"))
        if isinstance(module, layers.Parallel) and isinstance(module.join, AnchoredRows):
            for name, weight in module.named_parameters():
                last = name.endswith((".conv.weight", ".conv.pointwise.weight"))
                if last and not name.endswith("depthwise.conv.weight"):
                    nn.init.normal_(weight, 0.0, PREDICTOR_STD)
