"""Latency against ridge point, and which networks are Pareto-optimal where.

From 0 MACs/byte, where only MACs count, to 500, where almost only bytes do, every processor lies somewhere between.

Source: MobileNetV4, arXiv:2404.10518, section 3 and appendix F.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import Accuracy, published_top1
from ridgepoint.cost.count import Form
from ridgepoint.cost.device import Device
from ridgepoint.cost.fusing import Fusing, fusing_named
from ridgepoint.cost.precision import INT8, Precision, precision_named
from ridgepoint.cost.roofline import PassTime, Roofline
from ridgepoint.errors import InputError

RIDGE_POINTS = tuple(range(501))
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """One network over all ridge points. Without published accuracy it has times but no place on the front.

    `passes` are those of a device with ridge point 0: their MACs and bytes hold for all.
    """

    network: Network
    top1: float | None
    training: str
    source: str
    times_macs: tuple[float, ...]
    on_front: tuple[bool, ...]
    passes: tuple[PassTime, ...]

    @property
    def share(self) -> float:
        """The share of ridge points at which it is on the front."""
        return sum(self.on_front) / len(self.on_front)


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Networks over ridge points, and under which assumptions."""

    ridge_points: tuple[float, ...]
    networks: tuple[Swept, ...]
    precision: Precision
    form: Form
    fused: Fusing
    accuracy: Accuracy

    def ranges(self, swept: Swept) -> list[tuple[float, float]]:
        """The stretches of ridge points, first and last one, where a network is on the front."""
        found: list[tuple[float, float]] = []
        for index, (ridge, on) in enumerate(zip(self.ridge_points, swept.on_front, strict=True)):
            if on and index and swept.on_front[index - 1]:
                found[-1] = (found[-1][0], ridge)
            elif on:
                found.append((ridge, ridge))
        return found


def sweep(
    networks: Sequence[Network],
    *,
    ridge_points: Sequence[float] = RIDGE_POINTS,
    precision: Precision | str = INT8,
    form: Form = "deploy",
    fused: bool | Fusing = "activation",
    accuracy: Accuracy = "first",
) -> Sweep:
    """Time every network at every ridge point and find the fronts.

    Args:
        networks: What to compare, each under a name of its own.
        ridge_points: In MACs per byte, rising.
        precision: Byte widths; int8 is what the paper's ridge points were fitted with.
        form: What is counted.
        fused: Which layers share a pass.
        accuracy: Which published top-1 counts: each network's first, the first by ImageNet-1k's labels alone, the best.

    Raises:
        InputError: If no network or ridge point is given, or two networks share a name.
    """
    names = [network.name for network in networks]
    if not names or not ridge_points or len(set(names)) < len(names):
        raise InputError(
            f"a sweep got the networks [{', '.join(names)}] and {len(ridge_points)} ridge points. "
            "Needed: at least one of each, and every network under a name of its own"
        )
    zero = Device(name="sweep", source="none", ridge_point=0.0)
    roofline = Roofline(zero, precision=precision, form=form, fused=fused)
    times = np.stack([roofline.time_macs(network, ridge_points) for network in networks], axis=1)
    known = [published_top1(network.name, accuracy) for network in networks]
    front = pareto(times, [np.nan if top1 is None else top1.value for top1 in known])
    swept = tuple(
        Swept(
            network=network,
            top1=top1.value if top1 else None,
            training=top1.training if top1 else "",
            source=top1.source if top1 else "",
            times_macs=tuple(times[:, index].tolist()),
            on_front=tuple(front[:, index].tolist()),
            passes=roofline.breakdown(network),
        )
        for index, (network, top1) in enumerate(zip(networks, known, strict=True))
    )
    return Sweep(
        ridge_points=tuple(ridge_points),
        networks=swept,
        precision=precision_named(precision),
        form=form,
        fused=fusing_named(fused),
        accuracy=accuracy,
    )


def pareto(times: ArrayLike, accuracy: ArrayLike) -> Mask:
    """Which networks no other one beats: none is both as fast and as accurate, and better in one of them.

    Args:
        times: (ridge points, networks), lower is better.
        accuracy: (networks,), higher is better; NaN is never on the front and beats nobody.

    Shape: (ridge points, networks).
    """
    time, top1 = np.asarray(times, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    faster = time[:, :, None] <= time[:, None, :]  # [ridge point, one, other]: one is no slower than the other
    better = (top1[:, None] >= top1[None, :])[None]
    strictly = (time[:, :, None] < time[:, None, :]) | (top1[:, None] > top1[None, :])[None]
    beaten = np.any(faster & better & strictly, axis=1)
    return np.logical_and(np.logical_not(beaten), np.isfinite(top1)[None, :], dtype=np.bool_)
