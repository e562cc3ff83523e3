"""Rooflines fitted to published phone latencies, tested on the families left out; --write ships the honest ones.

Decided before any error was looked at:
  - byte widths are those of the runtime's precision (int8, float16, float32); folded networks; norm and activation in
    the convolution's pass, additions and pools as passes of their own;
  - three numbers are fitted: peak, bandwidth (as ridge point) and one overhead. Where the MobileNetV4 paper publishes
    the ridge point, it is taken and two are fitted;
  - each family is predicted from a fit to all others. MACs alone and parameters alone are fitted the same way, each
    with an overhead;
  - a device ships if the median error on left-out families is at most 20 %. The MobileNetV4 paper's four devices with
    a published ridge point ship with whatever error they have.
Decided afterwards:
  - the overhead was one per image (median over devices: roofline 15.6 %, MACs 11.4 %); now each fit, of every model and
    with every family left out, takes one per image or one per pass, whichever fits its own networks better;
  - a device ships only if it also ranks left-out families with a Spearman of at least 0.8. In ncnn's table six networks
    of similar size leave small errors and wrong ranks;
  - with FastViT and ConvNeXt in the MobileNetV4 paper's table one number more is fitted: what a MAC of a depthwise
    convolution above 5x5 adds. Tried in its place, one choice for all devices: elements of GELU, of GELU and norms, of
    everything that 8-bit kernels lack; MACs of all depthwise convolutions. Only this one predicts FastViT from ConvNeXt
    and the reverse on the CPUs (within 54 % on the Pixel 6, 37 % on the Galaxy S23; all others are off by more);
    MobileNetV4-Hybrid-L has more GELUs than either and is as fast as its roofline says;
    Where fewer than two families have such convolutions, it is not fitted;
  - a device ships only with at least seven networks: of ncnn's thirteen devices with six each, two happened to rank
    well;
  - errors count by Huber's loss instead of by squares, and an interval comes from families, not from quantiles
    (`ridgepoint.cost.fitting`, `ridgepoint.cost.left_out`);
  - in 8 bits what a MAC of any depthwise convolution adds is fitted too. In float it made the phones' GPUs worse and is
    not fitted. Some hundred ways were tried on the same nine devices: sums and smooth maxima in the roofline's place,
    free ridge points, prices of weights and of maps, of attention, of passes without MACs, channels rounded up to
    vectors, blends with MACs alone, families or rounded figures that count less. Where one of them was better on some
    devices it was worse on others.
"""

import argparse
import json
from typing import Any

import msgspec
import numpy as np
import yaml

from ridgepoint.cost.count import cost
from ridgepoint.cost.device import DEVICES, Device
from ridgepoint.cost.fitting import (
    Features,
    LeftOut,
    confirmed,
    features_of,
    fit_device,
    leave_families_out,
)
from ridgepoint.cost.published import PublishedTable, published_tables

HONEST_ERROR, HONEST_RANK, ENOUGH = 0.20, 0.8, 7


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="store the devices that ship in the package")
    given = options.parse_args()
    report: dict[str, Any] = {}
    for table in published_tables():
        for name, published in table.devices.items():
            free = published.ridge_point is None
            device = fit_device(
                table.device(name), table.rows, published=table.name, ridge_points=table.ridge_points(name)
            )
            assert device.fit is not None
            honest = device.fit.left_out_median_error <= HONEST_ERROR and device.fit.left_out_spearman >= HONEST_RANK
            ships = not free or (honest and device.fit.networks >= ENOUGH)
            report[name] = {"table": table.name, "ships": ships, **compared(table, device)}
            if given.write and ships:
                write(device)
    print(json.dumps({"choice": (__doc__ or "").strip(), "devices": report, **summary(report)}, indent=2))


def compared(table: PublishedTable, device: Device) -> dict[str, Any]:
    """The fit, and the errors on left-out families beside those of MACs and of parameters alone."""
    rows = [row for row in table.rows if device.name in row.latency_ms]
    latencies = np.array([row.latency_ms[device.name] for row in rows])
    families = [row.family for row in rows]
    networks = [row.load() for row in rows]
    counted = [cost(network, form="deploy") for network in networks]
    roofline = confirmed(features_of(device, networks, table.ridge_points(device.name)), families)
    none = np.zeros_like(roofline.depthwise)
    features = {
        "roofline": roofline,
        "macs": Features(np.array([[float(each.macs) for each in counted]]), roofline.overheads, none),
        "params": Features(np.array([[float(each.params) for each in counted]]), roofline.overheads, none),
    }
    left = {name: leave_families_out(each, latencies, families) for name, each in features.items()}
    return {
        "ridge_point": device.ridge,
        "peak_gmacs_per_s": round(device.peak / 1e9, 3),
        "overhead_ms": device.overhead_ms,
        "pass_overhead_us": device.pass_overhead_us,
        "depthwise_ns_per_mac": device.depthwise_ns_per_mac,
        "large_depthwise_ns_per_mac": device.large_depthwise_ns_per_mac,
        "fit": msgspec.to_builtins(device.fit),
        "left_out": {name: told(each) for name, each in left.items()},
    }


def told(left: LeftOut) -> dict[str, Any]:
    return {
        "median_error": round(left.median_error, 3),
        "spearman": round(left.spearman, 3),
        "interval": [round(bound, 3) for bound in left.interval],
    }


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Medians over the devices of each table and of all."""
    names = dict.fromkeys(each["table"] for each in report.values())
    tables = {name: [each for each in report.values() if each["table"] == name] for name in names}
    return {
        "ship": [name for name, each in report.items() if each["ships"]],
        "median_over_devices": {name: medians(each) for name, each in {**tables, "all": list(report.values())}.items()},
    }


def medians(devices: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"devices": len(devices)}
    for model in ("roofline", "macs", "params"):
        left = [each["left_out"][model] for each in devices]
        found[model] = {
            key: round(float(np.median([each[key] for each in left])), 3) for key in ("median_error", "spearman")
        }
    return found


def write(device: Device) -> None:
    plain = {**msgspec.to_builtins(device), "precision": device.precision, "fused": device.fused}
    text = yaml.dump(plain, Dumper=yaml.CSafeDumper, sort_keys=False, width=160)
    (DEVICES / f"{device.name}.yaml").write_text(f"# Written by tools/phones.py.\n{text}")


main()
