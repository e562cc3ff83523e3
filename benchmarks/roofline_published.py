"""Rank correlation of the roofline with published latencies, beside that of MACs: MobileNetV4 paper, Table 6.

The choice, made before any correlation was looked at: int8, which the paper's CPU, DSP and EdgeTPU columns ran, with
32-bit biases; folded networks; norm and activation in the convolution's pass; residual additions and pools as passes of
their own; the device's published ridge point. What other choices give is printed below and changes nothing that ships.
"""

import json
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ridgepoint.cost.count import cost
from ridgepoint.cost.device import load_device
from ridgepoint.cost.published import PublishedRow, published_rows
from ridgepoint.cost.roofline import Roofline

PAPER = {  # Table 16: roofline, MACs; its set of networks is not told
    "pixel6-cpu": (0.973, 0.962),
    "galaxy-s23-cpu": (0.962, 0.940),
    "pixel4-dsp": (0.962, 0.758),
    "pixel8-edgetpu": (0.973, 0.857),
}
OTHERS: dict[str, dict[str, Any]] = {
    "fused none": {"fused": "none"},
    "fused residual": {"fused": "residual"},
    "fused block": {"fused": "block"},
    "only passes that multiply": {"multiplying_only": True},
    "float16": {"precision": "float16"},
}


def correlations(device: str, rows: list[PublishedRow]) -> dict[str, Any]:
    rows = [row for row in rows if device in row.latency_ms]
    networks = [row.load() for row in rows]
    given = np.array([row.latency_ms[device] for row in rows])

    def rank(values: list[float]) -> float:
        return round(float(spearmanr(values, given).statistic), 3)

    def roofline(**choice: Any) -> float:
        model = Roofline(load_device(device), **choice)
        return rank([float(model.time_macs(network)) for network in networks])

    return {
        "networks": len(rows),
        "roofline": roofline(),
        "macs": rank([cost(network, form="deploy").macs for network in networks]),
        "other_choices": {name: roofline(**choice) for name, choice in OTHERS.items()},
    }


def main() -> None:
    rows = list(published_rows())
    zoo = [row for row in rows if row.unscaled]
    report = {
        device: {
            "ridge_point": load_device(device).ridge,
            "paper": dict(zip(("roofline", "macs"), PAPER[device], strict=True)),
            "zoo": correlations(device, zoo),
            "zoo_and_scaled": correlations(device, rows),
        }
        for device in PAPER
    }
    print(json.dumps({"choice": (__doc__ or "").strip(), "devices": report}, indent=2))


main()
