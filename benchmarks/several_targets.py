"""A fit for several devices at once against a fit for each of them alone, on photographs, in equal time.

Told of each: the network, its accuracy on validation and test images, its milliseconds on every device that it was
fitted to, and, of the fit for all, how near its score comes to the best that was seen for each device alone. Every
command has one core. A run folder that is done is not fitted again. Published weights are looked for where
RIDGEPOINT_WEIGHTS says.

    python benchmarks/several_targets.py PHOTOS --targets host=3ms pixel6-cpu=1.8ms pixel8-edgetpu=1ms --time 240 \
        > benchmarks/results/several_targets.json
"""

import argparse
import json
import sys
from pathlib import Path

from photographs import done


def told(result: dict) -> dict:
    """What is told of a fit."""
    targets = result["targets"] or [{"name": "its target", "latency": result["latency"], "alone": None}]
    return {
        "network": result["network"]["name"],
        "val": round(result["accuracy"]["val"], 4),
        "test": round(result["accuracy"]["artefact"], 4),
        "met": result["met"],
        "universality": result["universality"],
        "targets": [
            {
                "name": each["name"],
                "kind": each["latency"]["kind"],
                "ms": round(each["latency"]["ms"], 3),
                "bound_ms": each["latency"].get("bound_ms"),
                "ratio": each["alone"] and round(each["alone"]["ratio"], 3),
            }
            for each in targets
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--targets", nargs="+", required=True, help="DEVICE=BUDGET each, the first one first")
    parser.add_argument("--time", type=float, default=240.0, help="seconds of every fit")
    parser.add_argument("--runs", type=Path, default=Path("runs/several_targets"))
    given = parser.parse_args()
    pairs = [each.split("=") for each in given.targets]
    common = [given.data, "--time", f"{given.time}s", "--baselines", "0", "--busy"]
    alone = {device: ["--device", device, "--latency", budget] for device, budget in pairs}
    together = [*alone[pairs[0][0]], *(word for each in given.targets[1:] for word in ("--also", each))]
    rows = [
        {"for": name, **told(done("fit", given.runs / name, [*common, *words]))}
        for name, words in {"all": together, **alone}.items()
    ]
    print(json.dumps({"command": " ".join(sys.argv), "time_s": given.time, "rows": rows}))


if __name__ == "__main__":
    main()
