"""What to divide out of times when the reference networks are slowed down unequally and nobody else works here.

    python benchmarks/references.py [--turns 5] > benchmarks/results/references.json

Nine networks are clocked again and again on a machine that is otherwise idle, as a virtual machine is whose host runs
others. For each way to divide (nothing, the least, the middle and the most of what the references suffered) it tells
how far the times are from each network's median: the median of that, the largest, and how many are over a tenth.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

from clock_under_load import export

from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy import reference
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.timing import Slowdown

WAYS = {
    "nothing": lambda slowdown: 1.0,
    "the least": lambda slowdown: slowdown.least,
    "the middle": lambda slowdown: slowdown.middle,
    "the most": lambda slowdown: slowdown.most,
}
ROUNDS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 2))
    given = parser.parse_args()
    told: list[Slowdown] = []
    remembered = reference.References.slowdown

    def slowdown(references, timings, *, load):
        told.append(remembered(references, timings, load=load))
        return told[-1]

    reference.References.slowdown = slowdown
    found = {"processor": cpu_name(), "turns": given.turns, "threads": {}}
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder))
        files = {path.stem: path for path in sorted(Path(folder).glob("*.onnx"))}
        for threads in given.threads:
            rows = []
            for turn in range(given.turns):
                latencies = measure(files, threads=threads, rounds=ROUNDS)
                rows.append((told[-1], {name: each.ms * each.slowdown for name, each in latencies.items()}))
                print(threads, turn, told[-1], file=sys.stderr, flush=True)
                time.sleep(1.0)
            found["threads"][threads] = {
                "slowdowns": [[round(each.least, 3), round(each.most, 3)] for each, _ in rows],
                "ways": {name: off(rows, way) for name, way in WAYS.items()},
            }
    print(json.dumps(found, indent=1))


def off(rows: list[tuple[Slowdown, dict[str, float]]], way) -> dict[str, float]:
    """How far times are from each network's median where a way's share is divided out."""
    shares = []
    for name in rows[0][1]:
        times = [ms[name] / way(slowdown) for slowdown, ms in rows]
        shares += [abs(math.log(each / statistics.median(times))) for each in times]
    return {
        "times": len(shares),
        "median": round(statistics.median(shares), 4),
        "largest": round(max(shares), 4),
        "over_a_tenth": sum(share > 0.1 for share in shares),
    }


if __name__ == "__main__":
    main()
