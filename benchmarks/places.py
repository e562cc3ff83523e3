"""The same file clocked here and through ssh, by turns: does the way there touch the clock?

    python benchmarks/places.py --device ssh://localhost --times 10
    python benchmarks/places.py --device ssh://localhost --calibrate 120

With an address of this machine both must agree. Prints JSON: milliseconds of every time, the ratio of their medians and
of the least disturbed ones, and how long it takes to connect and to send the file.

With `--calibrate` both are calibrated instead for so many seconds, this machine before and after the device: how far
the zoo's tabled latencies are apart between here and there, and between here and here again, which is the noise. All
three learn from as many of their first samples as the one that has fewest.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.calibrating import calibrate
from ridgepoint.cost.count import cost
from ridgepoint.cost.tabled import TabledModel
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places.find import find_device
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.nn.build import build

MOST_MACS = 1_000_000_000


def compared(device_name: str, network_name: str, times: int, rounds: int, patience_s: float) -> dict[str, object]:
    """Milliseconds here and there, one after the other, and what else takes time."""
    began = time.perf_counter()
    device = find_device(device_name)
    connected_s = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        network = load(network_name)
        export_for_timing(build(network), network.input_shape, path, "onnxruntime")
        began = time.perf_counter()
        session = device.open(path, runtime="onnxruntime")
        opened_s = time.perf_counter() - began
        found: dict[str, list[float]] = {"here": [], "there": []}
        doubts: dict[str, int] = {"here": 0, "there": 0}
        for _ in range(times):
            for name, place in (("here", LOCAL), ("there", device)):
                latency = measure({"it": path}, place=place, rounds=rounds, patience_s=patience_s)["it"]
                found[name].append(latency.ms * (latency.slowdown or 1.0))
                doubts[name] += latency.doubt is not None
        bytes_sent = path.stat().st_size
        del session
    medians = {name: statistics.median(each) for name, each in found.items()}
    return {
        "device": device_name,
        "network": network_name,
        "ms": {name: [round(ms, 4) for ms in each] for name, each in found.items()},
        "there_over_here": {
            "medians": round(medians["there"] / medians["here"], 4),
            "least": round(min(found["there"]) / min(found["here"]), 4),
        },
        "in_doubt": doubts,
        "connect_s": round(connected_s, 2),
        "send_and_open_s": round(opened_s, 2),
        "bytes": bytes_sent,
    }


def calibrated(device_name: str, time_s: float, busy: bool) -> dict[str, object]:
    """How far tables that were made here and there are apart."""
    networks = [network for network in map(load, list_models()) if network.head.answers == "classes"]
    networks = [network for network in networks if cost(network).macs <= MOST_MACS]
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for number, place in enumerate((LOCAL, find_device(device_name), LOCAL)):
            host = HostTable(path=Path(folder) / f"{number}.json", busy=busy, place=place)
            host.calibrate(time_s=time_s)
            tables.append(host.table)
    samples = [len(table.samples) for table in tables]
    for table in tables:
        table.calibration = calibrate(table.samples[: min(samples)], table.conditions)
    models = [TabledModel(table) for table in tables]
    here, there, again = [np.array([model.latency(network).ms for network in networks]) for model in models]
    pairs = {"there_over_here": there / here, "there_over_again": there / again, "again_over_here": again / here}
    quantiles = {name: np.quantile(ratio, (0.1, 0.5, 0.9)) for name, ratio in pairs.items()}
    return {
        "device": device_name,
        "networks": len(networks),
        "samples": samples,
        "ratios_of_tabled_ms": {name: [round(float(each), 4) for each in three] for name, three in quantiles.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", required=True)
    parser.add_argument("--network", default="mobilenetv3_large_100")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for turns that do not count")
    parser.add_argument("--calibrate", type=float, metavar="S", help="calibrate here, there and here, S seconds each")
    parser.add_argument("--busy", action="store_true", help="with --calibrate: keep times of a busy machine")
    given = parser.parse_args()
    if given.calibrate:
        told = calibrated(given.device, given.calibrate, given.busy)
    else:
        told = compared(given.device, given.network, given.times, given.rounds, given.patience)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
