"""Devices: the rates of a processor as a roofline needs them, read strictly from YAML.

    name: my-board                    # what --device takes
    description: Cortex-A76, 1 core
    source: measured with ridgepoint calibrate, 2026-01-31
    peak_macs_per_s: 60.0e+9          # any two of these three, or the ridge point alone
    bandwidth_bytes_per_s: 8.0e+9
    ridge_point: 7.5                  # MACs per byte = peak / bandwidth

    depthwise_ns_per_mac: 0.05        # beside the roofline, for depthwise convolutions
    large_depthwise_ns_per_mac: 0.9   # beside both, for those with kernels above 5x5

Units that multiply matrices of 8-bit numbers are of no use to depthwise convolutions, which sum over no channels: a MAC
of theirs takes as long as fifty of others on an EdgeTPU. Libraries have code of their own for depthwise kernels of 3x3
and 5x5. Larger ones take the general path, in which a MAC costs what a hundred of other layers do. A roofline knows
nothing of either. 0 where it is not known.

With the ridge point alone a roofline orders networks but has no milliseconds.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ridgepoint.arch.document import convert, expect_mapping
from ridgepoint.cost.fusing import Fusing
from ridgepoint.cost.precision import precision_named
from ridgepoint.documents import dump_document, read_document
from ridgepoint.errors import ArchitectureError, InputError, nearest, shown
from ridgepoint.files import write_atomic
from ridgepoint.validation import Name

DEVICES = Path(__file__).parent / "devices"
_LEAST_RIDGE = 1e-3
# From a computer of the 1950s to far beyond any of today: within them, every time is a number that can be told.
Rate = Annotated[float, msgspec.Meta(ge=1, le=1e18)]
Ridge = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Overhead = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Ratio = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a device's rates were fitted to published latencies, and how far they are off; errors are shares of 1.

    `left_out_*` are of networks predicted from a fit to all other families; where `left_out` says so, to all other
    networks.
    """

    published: str
    networks: int
    families: int
    fitted: str
    median_error: Share
    worst_error: Share
    left_out: Literal["families", "networks"] = "families"
    left_out_median_error: Share
    left_out_spearman: Share


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A processor's peak rates. `overhead_ms` is added once per image, `pass_overhead_us` for every pass over memory.

    `depthwise_ns_per_mac` is added for every MAC of a depthwise convolution, and `large_depthwise_ns_per_mac` besides
    where its kernel is above 5x5. `precision` and `fused` are what the rates hold for: int8 peaks say nothing about
    float32. Measured over predicted latency, nine of ten networks of designs that were left out when the rates were
    found are expected in the `interval`; of networks with kernels above 5x5 in `large_depthwise_interval`, where any
    were measured.
    """

    name: Name
    description: str = ""
    source: str
    peak_macs_per_s: Rate | None = None
    bandwidth_bytes_per_s: Rate | None = None
    ridge_point: Ridge | None = None
    overhead_ms: Overhead = 0.0
    pass_overhead_us: Overhead = 0.0
    depthwise_ns_per_mac: Overhead = 0.0
    large_depthwise_ns_per_mac: Overhead = 0.0
    precision: str = "int8"
    fused: Fusing = "activation"
    fit: Fit | None = None
    interval: tuple[Ratio, Ratio] | None = None
    large_depthwise_interval: tuple[Ratio, Ratio] | None = None

    def __post_init__(self) -> None:
        peak, bandwidth, ridge = self.peak_macs_per_s, self.bandwidth_bytes_per_s, self.ridge_point
        msgspec.structs.force_setattr(self, "precision", precision_named(self.precision).name)
        if ridge is not None and 0 < ridge < _LEAST_RIDGE:
            raise ValueError(f"ridge_point is {ridge:g}. Allowed: 0 for none, or from {_LEAST_RIDGE:g} MACs/byte")
        if ridge is None and (peak is None or bandwidth is None):
            raise ValueError(
                "a device needs peak_macs_per_s and bandwidth_bytes_per_s, or ridge_point with one of them or alone"
            )
        if peak and bandwidth and ridge is not None and abs(peak / bandwidth - ridge) > 0.01 * ridge:
            raise ValueError(
                f"ridge_point is {ridge:g}, but peak_macs_per_s / bandwidth_bytes_per_s is {peak / bandwidth:g}; "
                "leave one of the three out"
            )

    @property
    def ridge(self) -> float:
        """The ridge point in MACs per byte: below this intensity a layer is memory-bound."""
        if self.ridge_point is not None:
            return self.ridge_point
        assert self.peak_macs_per_s is not None and self.bandwidth_bytes_per_s is not None
        return self.peak_macs_per_s / self.bandwidth_bytes_per_s

    @property
    def peak(self) -> float:
        """The peak in MACs/s.

        Raises:
            InputError: If only the ridge point is known.
        """
        if self.peak_macs_per_s is not None:
            return self.peak_macs_per_s
        if self.bandwidth_bytes_per_s is not None and self.ridge:
            return self.ridge * self.bandwidth_bytes_per_s
        raise InputError(
            f"device '{self.name}' has a ridge point ({self.ridge:g} MACs/byte) but no peak: a roofline orders "
            "networks for it but has no milliseconds. Allowed: `ridgepoint sweep`, which needs none; "
            "or a device file with peak_macs_per_s"
        )

    def interval_of(self, large_depthwise: bool) -> tuple[float, float] | None:
        """The interval of networks with depthwise convolutions above 5x5, or of those without."""
        return (large_depthwise and self.large_depthwise_interval) or self.interval

    @property
    def timed(self) -> bool:
        """Whether milliseconds can be had: whether the peak is known."""
        return self.peak_macs_per_s is not None or bool(self.bandwidth_bytes_per_s and self.ridge)


def list_devices() -> list[str]:
    """The names of the devices that come with the package, sorted."""
    return sorted(_names())


def load_device(name_or_path: str | Path, *, host: Device | None = None) -> Device:
    """A device by name or from a YAML or JSON file.

    Args:
        name_or_path: A name from `list_devices`, the path of a device file, or `host`.
        host: The calibrated profile of this machine, where there is one.

    Raises:
        InputError: If the name is unknown (the nearest is suggested), the file is wrong, or `host` has no profile.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml", ".json"):
        return read_device(path)
    if str(name_or_path) == "host":
        if host is None:
            raise InputError(
                "device 'host' is this machine, which is not calibrated here: run `ridgepoint calibrate`, then "
                "`ridgepoint cost MODEL --device host`, or give the .yaml file that it names. "
                f"Allowed here: {', '.join(list_devices())}, or a path to a .yaml file"
            )
        return host
    if str(name_or_path) not in _names():
        raise InputError(
            f"unknown device {shown(str(name_or_path))}; {nearest(str(name_or_path), [*_names(), 'host'])}, "
            "or a path to a .yaml file"
        )
    return _shipped(str(name_or_path))


def known_devices() -> list[Device]:
    """The devices that come with the package and predict milliseconds with an interval."""
    return [device for device in map(load_device, list_devices()) if device.timed and device.interval]


def write_device(path: Path, device: Device, *, by: str) -> None:
    """Write a device as a file that `load_device` reads, and say which command did.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    plain = {**msgspec.to_builtins(device), "precision": device.precision, "fused": device.fused}
    write_atomic(path, f"# Written by ridgepoint {by}.\n" + dump_document(plain))


def read_device(path: Path) -> Device:
    """A device from a file.

    Raises:
        InputError: Naming the file, the key, what was given and what is allowed.
    """
    try:
        raw = read_document(path, error=ArchitectureError)
        keys = [field.name for field in msgspec.structs.fields(Device)]
        expect_mapping(raw, keys, required=("name", "source"), where="", source=str(path))
        device: Device = convert(raw, Device, where="", source=str(path))
    except ArchitectureError as error:
        raise InputError(str(error)) from None
    return device


@lru_cache(maxsize=64)
def _shipped(name: str) -> Device:
    return read_device(DEVICES / f"{name}.yaml")


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(path.stem for path in DEVICES.glob("*.yaml"))
