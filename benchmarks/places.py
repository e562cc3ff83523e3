"""The same file clocked here and through ssh, by turns: does the way there touch the clock?

    python benchmarks/places.py --device ssh://localhost --times 10

With an address of this machine both must agree. Prints JSON: milliseconds of every time, the ratio of their medians and
of the least disturbed ones, and how long it takes to connect and to send the file.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from ridgepoint.arch.zoo import load
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places.find import find_device
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.nn.build import build


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", required=True)
    parser.add_argument("--network", default="mobilenetv3_large_100")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for turns that do not count")
    given = parser.parse_args()
    print(json.dumps(compared(given.device, given.network, given.times, given.rounds, given.patience), indent=2))


if __name__ == "__main__":
    main()
