"""The roofline: every pass takes as long as its MACs or its bytes need, whichever is longer.

    time = sum_i max(MACs_i / PeakMACs, (WeightBytes_i + ActivationBytes_i) / PeakMemBW)

With PeakMACs as the unit this is sum_i max(MACs_i, ridge_point * Bytes_i): a time in MACs that depends on a device only
through its ridge point. 0 is MACs alone.

A device may add overheads per image and per pass, and times for each MAC of depthwise convolutions
(`ridgepoint.cost.device`): they are in milliseconds, not in times in MACs.

Source: MobileNetV4, arXiv:2404.10518, section 3.
Differs: the overheads and those times; and the paper says neither what a byte width, a fused pass nor the bytes of a
layer are: here they are options.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ridgepoint.arch.network import Network
from ridgepoint.cost.count import BlockCost, Form, NetworkCost, cost
from ridgepoint.cost.device import Device, load_device
from ridgepoint.cost.fusing import Fusing, fusing_named
from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.cost.layer import LayerCost
from ridgepoint.cost.precision import Precision, precision_named

Bound = Literal["compute", "memory"]
Array = NDArray[np.float64]


class PassTime(msgspec.Struct, frozen=True, kw_only=True):
    """One pass on a roofline. `time_macs` is its time in MACs (PeakMACs = 1); `ms` is absent without a peak.

    `share` is that of the time of all passes, without overheads.
    """

    path: str
    kind: str
    absorbed: tuple[str, ...]
    macs: int
    weight_bytes: float
    activation_bytes: float
    intensity: float
    bound: Bound
    time_macs: float
    share: float
    ms: float | None


def roofline_macs(macs: ArrayLike, moved: ArrayLike, ridge_points: ArrayLike) -> Array:
    """The time of a network in MACs at every ridge point.

    Args:
        macs: (passes,) MACs of every pass.
        moved: (passes,) bytes of every pass.
        ridge_points: (ridge points,) or one number, in MACs per byte.

    Shape: (ridge points,), or () for one number.
    """
    ridge = np.asarray(ridge_points, dtype=np.float64)[..., None]
    times: Array = np.maximum(np.asarray(macs, dtype=np.float64), ridge * np.asarray(moved, dtype=np.float64))
    total: Array = times.sum(axis=-1)
    return total


class Roofline:
    """Predicts latencies from counts and a device's peak rates; a `LatencyModel`.

    Args:
        device: A device, or the name or path of one.
        precision: Byte widths; the device's own unless given.
        form: What is counted; `deploy`, what ships, unless given.
        fused: Which layers share a pass (`ridgepoint.cost.fusing`); the device's own unless given.
        multiplying_only: Whether passes without MACs (additions, pools, softmax) are left out, as if free.
    """

    def __init__(
        self,
        device: Device | str | Path,
        *,
        precision: Precision | str | None = None,
        form: Form = "deploy",
        fused: bool | Fusing | None = None,
        multiplying_only: bool = False,
    ):
        self.device = device if isinstance(device, Device) else load_device(device)
        self.precision = precision_named(precision or self.device.precision)
        self.form = form
        self.fused: Fusing = self.device.fused if fused is None else fusing_named(fused)
        self.multiplying_only = multiplying_only

    def latency(self, network: Network) -> PredictedLatency:
        """The predicted latency of one image.

        Raises:
            InputError: If of the device only the ridge point is known.
        """
        counted = self._counted(network)
        ms = self._ms(*self.passes(network), self._depthwise_ms(counted)) + self.device.overhead_ms
        interval = self.device.interval_of(counted.large_depthwise_macs > 0) if self.as_found else None
        return PredictedLatency(
            ms=ms,
            low_ms=ms * interval[0] if interval else None,
            high_ms=ms * interval[1] if interval else None,
            device=self.device.name,
            method=self.method,
            bytes_per_element=self.precision.activation,
        )

    def block_ms(self, block: BlockCost) -> float:
        """The milliseconds of one block's passes; all blocks and the device's `overhead_ms` make the latency."""
        return self._ms(*self._arrays(block.layers), self._depthwise_ms(block))

    def time_macs(self, network: Network, ridge_points: ArrayLike | None = None) -> Array:
        """The time in MACs, at the device's ridge point or at those given; orders networks without a peak."""
        return roofline_macs(*self.passes(network), self.device.ridge if ridge_points is None else ridge_points)

    def passes(self, network: Network) -> tuple[Array, Array]:
        """MACs and bytes moved of every pass."""
        return self._arrays([layer for _, row in self._counted(network).rows for layer in row.layers])

    def depthwise_macs(self, network: Network) -> tuple[int, int]:
        """MACs of depthwise convolutions, and of those with kernels above 5x5."""
        counted = self._counted(network)
        return counted.depthwise_macs, counted.large_depthwise_macs

    def breakdown(self, network: Network) -> tuple[PassTime, ...]:
        """Every pass: its bytes, intensity, what bounds it, and its share of the time."""
        layers, ridge = self._kept(self._counted(network).layers), self.device.ridge
        added = [self._depthwise_time_macs(layer) for layer in layers]
        total = sum(max(layer.macs, ridge * layer.bytes_moved(self.precision)) for layer in layers) + sum(added)
        return tuple(self._pass(layer, ridge, total) for layer in layers)

    @property
    def as_found(self) -> bool:
        """Whether this is what the device's rates were found for."""
        return (self.precision.name, self.fused, self.form) == (self.device.precision, self.device.fused, "deploy")

    @property
    def method(self) -> str:
        """What was assumed, in words that go with every number."""
        told = f"roofline, {self.form} form, {self.precision.name}, fused: {self.fused}"
        told += ", only passes that multiply" if self.multiplying_only else ""
        fit = self.device.fit
        if fit is None:
            return told
        told += (
            f"; {fit.fitted} fitted to {fit.published}, median error {fit.left_out_median_error:.0%} on {fit.left_out} "
        )
        told += "left out of the fit"
        if not self.as_found:
            told += f", which holds for {self.device.precision}, fused: {self.device.fused} only"
        return told

    def _counted(self, network: Network) -> NetworkCost:
        return cost(network, form=self.form, fused=self.fused)

    def _arrays(self, layers: Sequence[LayerCost]) -> tuple[Array, Array]:
        kept = self._kept(layers)
        moved = [layer.bytes_moved(self.precision) for layer in kept]
        return np.array([layer.macs for layer in kept], dtype=np.float64), np.array(moved, dtype=np.float64)

    def _ms(self, macs: Array, moved: Array, depthwise_ms: float) -> float:
        device = self.device
        rates_ms = float(roofline_macs(macs, moved, device.ridge)) / device.peak * 1e3
        return rates_ms + depthwise_ms + len(macs) * device.pass_overhead_us * 1e-3

    def _depthwise_ms(self, counted: LayerCost | BlockCost | NetworkCost) -> float:
        """What its depthwise convolutions add."""
        device = self.device
        added_ns = counted.depthwise_macs * device.depthwise_ns_per_mac
        return (added_ns + counted.large_depthwise_macs * device.large_depthwise_ns_per_mac) * 1e-6

    def _depthwise_time_macs(self, layer: LayerCost) -> float:
        """The same in MACs at the device's peak."""
        added_ms = self._depthwise_ms(layer)
        return added_ms * 1e-3 * self.device.peak if added_ms and self.device.timed else 0.0

    def _kept(self, layers: Sequence[LayerCost]) -> Sequence[LayerCost]:
        return [layer for layer in layers if layer.macs] if self.multiplying_only else layers

    def _pass(self, layer: LayerCost, ridge: float, total: float) -> PassTime:
        moved = layer.bytes_moved(self.precision)
        time = max(layer.macs, ridge * moved)
        whole = time + self._depthwise_time_macs(layer)
        ms = whole / self.device.peak * 1e3 + self.device.pass_overhead_us * 1e-3 if self.device.timed else None
        return PassTime(
            path=layer.path,
            kind=layer.kind,
            absorbed=layer.absorbed,
            macs=layer.macs,
            weight_bytes=layer.weight_bytes(self.precision.weight, self.precision.vector),
            activation_bytes=layer.activation_bytes(self.precision.activation),
            intensity=layer.intensity(self.precision),
            bound="memory" if ridge * moved > layer.macs else "compute",
            time_macs=time,
            share=whole / total if total else 0.0,
            ms=ms,
        )


def predict_latency(network: Network, device: Device | str | Path) -> PredictedLatency:
    """The latency of one image on a device that is not at hand, predicted from its profile.

    Raises:
        InputError: If the device is unknown, or only its ridge point is known.
    """
    return Roofline(device).latency(network)
