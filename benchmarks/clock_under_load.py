"""The clock beside busy processes: what is told of nine networks from 0.04 to 20 ms, against the calm machine.

    python benchmarks/clock_under_load.py [--threads 1 2] [--rounds 12] > benchmarks/results/clock_under_load.json

Every condition is told by a process of its own. The truth is the median of what is told with nothing beside it, before,
between and after the conditions. Run it on a machine that is otherwise idle.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETWORKS = (
    ("tiny", 32),
    ("mobilenetv4_conv_small_035", 32),
    ("mobilenetv3_small_050", 96),
    ("mobilenetv4_conv_small", 96),
    ("mobilenetv3_small_100", 224),
    ("mobilenetv4_conv_small", 224),
    ("mobilenetv3_large_100", 224),
    ("mobilenetv1_100", 224),
    ("mobilenetv4_conv_medium", 256),
)
SPIN = "while True: pass"
STREAM = "import numpy as np\na = np.zeros(1 << 23)\nwhile True: a += 1"
BURSTS = """
import random, time
while True:
    end = time.time() + random.uniform(0.05, 1.5)
    while time.time() < end: pass
    time.sleep(random.uniform(0.05, 1.5))
"""
CONDITIONS = {
    "nothing": [],
    "1 busy": [SPIN],
    "2 busy": [SPIN] * 2,
    "nothing, again": [],
    "4 busy": [SPIN] * 4,
    "8 busy": [SPIN] * 8,
    "1 streaming": [STREAM],
    "2 streaming": [STREAM] * 2,
    "bursts of 2": [BURSTS] * 2,
    "bursts of 4": [BURSTS] * 4,
    "nothing, at last": [],
}
TELL = """
import json, sys
from pathlib import Path
from ridgepoint.deploy.measure import measure
files = {path.stem: path for path in sorted(Path(sys.argv[1]).glob("*.onnx"))}
found = measure(files, threads=int(sys.argv[2]), rounds=int(sys.argv[3]))
print(json.dumps({name: [each.ms, getattr(each, "doubt", None), each.slowdown] for name, each in found.items()}))
"""


def export(folder: Path) -> None:
    """The nine networks, with fresh weights."""
    from ridgepoint.arch.document import parse_network
    from ridgepoint.arch.zoo import load
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.nn.build import build

    rows = [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 16}]
    rows += [{"block": "uib", "start_kernel": 3, "middle_kernel": 0, "expand_ratio": 3, "out_channels": 24}]
    tiny = parse_network({"name": "tiny", "input": [3, 32, 32], "stages": [{"blocks": rows}]}, source="tiny")
    for index, (name, size) in enumerate(NETWORKS):
        network = tiny if name == "tiny" else load(name).at(height=size)
        export_for_timing(build(network), network.input_shape, folder / f"{index} {name} {size}.onnx")


def told(folder: Path, threads: int, rounds: int, beside: list[str]) -> dict:
    """What a process of its own tells while others are busy."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    busy = [subprocess.Popen([sys.executable, "-c", code], env=environment) for code in beside]
    began = time.monotonic()
    try:
        words = [sys.executable, "-c", TELL, str(folder), str(threads), str(rounds)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return {"seconds": time.monotonic() - began, "told": json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(folder)
        for threads in given.threads:
            runs = {}
            for condition, beside in CONDITIONS.items():
                runs[condition] = told(folder, threads, given.rounds, beside)
                print(threads, condition, f"{runs[condition]['seconds']:.0f} s", file=sys.stderr, flush=True)
            calm = [run["told"] for condition, run in runs.items() if condition.startswith("nothing")]
            truth = {network: statistics.median(each[network][0] for each in calm) for network in calm[0]}
            found.append({"threads": threads, "truth_ms": truth, "conditions": _judged(runs, truth)})
    print(json.dumps(found, indent=1))


def _judged(runs: dict, truth: dict[str, float]) -> dict:
    """Told over true latency of each network, and whether it was doubted."""
    judged = {}
    for condition, run in runs.items():
        rows = {
            network: {"ratio": round(ms / truth[network], 3), "doubt": doubt, "slowdown": round(slowdown, 3)}
            for network, (ms, doubt, slowdown) in run["told"].items()
        }
        relied_on = [row["ratio"] for row in rows.values() if not row["doubt"]]
        judged[condition] = {
            "seconds": round(run["seconds"], 1),
            "doubted": sum(bool(row["doubt"]) for row in rows.values()),
            "wrong": sum(abs(ratio - 1) > 0.1 for ratio in relied_on),
            "networks": rows,
        }
    return judged


if __name__ == "__main__":
    main()
