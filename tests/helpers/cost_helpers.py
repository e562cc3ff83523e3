"""Networks for the cost tests, and a second way to cost them that shares no code with the first."""

import random
import time

import msgspec

from ridgepoint.arch import layer as kinds
from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.blocks.inverted import InvertedBottleneck, UniversalInvertedBottleneck
from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.arch.network import Network, Stage, lower
from ridgepoint.arch.zoo import load
from ridgepoint.cost.table import Stored


def tiny(*blocks, channels=3, size=8, head=None, num_classes=10):
    """A network of one stage."""
    return Network(
        name="tiny",
        input=(channels, size, size),
        stem=(),
        stages=(Stage(blocks=blocks),),
        head=head or PooledHead(),
        num_classes=num_classes,
    )


def random_network(seed: int) -> Network:
    """Up to eight random blocks: plain, inverted with and without squeeze-excitation, universal, attention."""
    rng = random.Random(seed)
    blocks = [Conv(out_channels=rng.randrange(8, 40, 8), stride=rng.choice([1, 2]))]
    for _ in range(rng.randrange(1, 8)):
        wide, out = rng.randrange(8, 160, 8), rng.randrange(8, 64, 8)
        stride = rng.choice([1, 1, 2])
        kind = rng.choice(["conv", "ib", "se", "uib", "mqa"])
        if kind == "conv":
            blocks.append(Conv(out_channels=out, kernel=rng.choice([1, 3]), stride=stride))
        elif kind == "mqa":
            blocks.append(
                MobileMultiQueryAttention(
                    heads=rng.randrange(1, 5), key_dim=16, value_dim=rng.choice([8, 16]), kv_stride=rng.choice([1, 2])
                )
            )
        elif kind == "uib":
            blocks.append(
                UniversalInvertedBottleneck(
                    expand_channels=wide,
                    out_channels=out,
                    start_kernel=rng.choice([0, 3, 5]),
                    middle_kernel=rng.choice([0, 3, 5]) if stride == 1 else 3,
                    stride=stride,
                )
            )
        else:
            squeeze = 8 if kind == "se" else None
            blocks.append(
                InvertedBottleneck(expand_channels=wide, out_channels=out, stride=stride, kernel=5, se_channels=squeeze)
            )
    head = rng.choice([PooledHead(), PooledHead(conv_channels=64), PooledHead(conv_channels=48, hidden_channels=80)])
    size = rng.choice([16, 24, 32])
    return msgspec.structs.replace(tiny(*blocks, size=size, head=head), name=f"random_{seed}")


def altered(name: str, seed: int) -> Network:
    """A zoo network with the expansions and kernels of its universal inverted bottlenecks drawn anew."""
    rng, network = random.Random(seed), load(name)

    def row(block):
        if not isinstance(block, UniversalInvertedBottleneck):
            return block
        return msgspec.structs.replace(
            block,
            expand_channels=rng.randrange(96, 800, 8),
            start_kernel=rng.choice([0, 3, 5]),
            middle_kernel=rng.choice([3, 5]),
        )

    stages = tuple(Stage(blocks=tuple(row(block) for block in stage.blocks)) for stage in network.stages)
    return msgspec.structs.replace(network, name=f"{name}_{seed}", stages=stages)


def brute_force_passes(network: Network, *, fused: bool) -> list[tuple[int, int, int, int]]:
    """(MACs, weights, vectors, activations moved) of every pass of the folded network, from layer fields alone.

    Fused by a rule of its own: in our folded networks every activation follows a layer that can take it in.
    """
    rows = []
    for placed in lower(network, deploy=True):
        layer, given, out = placed.layer, placed.inputs, placed.output
        sizes = [shape.channels * shape.height * shape.width for shape in given]
        made = out.channels * out.height * out.width
        if isinstance(layer, kinds.Activation) and fused:
            continue
        if isinstance(layer, kinds.Conv2d):
            weights = layer.kernel * layer.kernel * layer.in_channels * layer.out_channels // layer.groups
            rows.append((weights * out.height * out.width, weights, layer.bias * layer.out_channels, sizes[0] + made))
        elif isinstance(layer, kinds.Linear):
            weights = layer.in_features * layer.out_features
            rows.append((weights, weights, layer.bias * layer.out_features, sizes[0] + made))
        elif isinstance(layer, kinds.MultiQueryAttention):
            query, key, _ = given
            scores = layer.heads * query.height * query.width * key.height * key.width
            rows.append((scores * layer.key_dim, 0, 0, sizes[0] + sizes[1] + scores))
            rows.append((0, 0, 0, 2 * scores))
            rows.append((scores * layer.value_dim, 0, 0, scores + sizes[2] + made))
        else:
            gains = 2 * layer.channels if isinstance(layer, kinds.BatchNorm) else 0
            rows.append((0, 0, gains, sum(sizes) + made))
    return rows


def stored(ms: float) -> Stored:
    """A time that a table keeps, taken just now on a calm machine."""
    return Stored(ms=ms, at=time.time(), load=0.0)
