"""Fit the shipped devices to the MobileNetV4 paper's latencies; --write stores them in the package.

The ridge points are the paper's own (Table 16). int8, folded networks, norm and activation in the convolution's pass.
"""

import json
import sys

import msgspec
import yaml

from ridgepoint.cost.device import DEVICES, Device
from ridgepoint.cost.fitting import fit_device
from ridgepoint.cost.published import published_rows

TABLE = "MobileNetV4 (arXiv:2404.10518 v2) Table 6"
SOURCE = "ridge point: MobileNetV4, arXiv:2404.10518 v2, Table 16 (an empirical fit, not a data sheet)"
GIVEN = [
    ("pixel6-cpu", "Google Pixel 6, fastest CPU core, TensorFlow Lite with XNNPACK, int8", 31.2),
    ("galaxy-s23-cpu", "Samsung Galaxy S23, fastest CPU core, TensorFlow Lite with XNNPACK, int8", 39.7),
    ("pixel4-dsp", "Google Pixel 4, Hexagon DSP, TensorFlow Lite, int8", 347.3),
    ("pixel8-edgetpu", "Google Pixel 8, EdgeTPU, TensorFlow Lite, int8", 433.8),
]


def main() -> None:
    devices = []
    for name, description, ridge in GIVEN:
        given = Device(name=name, description=description, source=SOURCE, ridge_point=ridge)
        devices.append(fit_device(given, published_rows(), published=TABLE))
    if "--write" in sys.argv:
        for device in devices:
            plain = {**msgspec.to_builtins(device), "precision": device.precision, "fused": device.fused}
            text = yaml.dump(plain, Dumper=yaml.CSafeDumper, sort_keys=False, width=160)
            (DEVICES / f"{device.name}.yaml").write_text(f"# Written by benchmarks/fit_devices.py.\n{text}")
    print(json.dumps([msgspec.to_builtins(device) for device in devices], indent=2))


main()
