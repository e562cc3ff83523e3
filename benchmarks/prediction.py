"""This machine's latency models against measured networks that its calibration never saw, printed as JSON.

    ridgepoint calibrate --threads 1
    python benchmarks/prediction.py --threads 1
    ridgepoint calibrate --threads 1 --precision int8
    python benchmarks/prediction.py --threads 1 --precision int8 --every 4

Random networks from each of three search spaces, twenty at 224 px and ten each at 96 and at 64, and the zoo's
classification networks of up to 2 GMACs, are exported and clocked twice, minutes apart: the two differ by the noise
floor, and their geometric mean is what the models are held against. None of them is among what calibration timed: that
has other members of the spaces, and the zoo's networks at other widths alone. MACs alone are given the one rate that
fits the measured networks best, which no model here is given.

Files in int8 are quantised as for a fit's clock, with noise for images. `--every 4` takes every fourth network.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import torch
from scipy.stats import spearmanr

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.cost.roofline import Roofline
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.quantize.timing import quantise_for_timing
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.nn.build import build

SPACES = ("mobilenetv4_conv", "mobilenetv3", "metaformer")
EACH, SEED = {224: 20, 96: 10, 64: 10}, 20240
TOGETHER, MOST_MACS = 16, 2_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, help="The calibrated table's file; by default the user's.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--files", type=Path, help="A folder for the files: those that are there are not made again.")
    parser.add_argument("--precision", default="float32", help="float32 or int8.")
    parser.add_argument("--every", type=int, default=1, help="Take one of so many networks.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    host = HostTable(runtime=given.runtime, threads=given.threads, path=given.table, tabled=given.precision)
    if host.device is None or host.table.calibration is None:
        sys.exit(f"{host.path} is not calibrated: run `ridgepoint calibrate` for it first")
    roofline = Roofline(host.device)
    networks = list(test_networks())[:: given.every]
    first, again = clock(networks, given)
    rows = []
    for (group, network), ms, again_ms in zip(networks, first, again, strict=True):
        tabled, predicted = host.latency(network), roofline.latency(network)
        rows.append(
            {
                "name": network.name,
                "group": group,
                "macs": cost(network, form="deploy").macs,
                "measured_ms": ms,
                "again_ms": again_ms,
                "tabled_ms": tabled.ms,
                "tabled_interval_ms": (tabled.low_ms, tabled.high_ms),
                "interpolated": f"{len(tabled.interpolated)} of {tabled.rows} rows",
                "predicted_ms": predicted.ms,
                "predicted_interval_ms": (predicted.low_ms, predicted.high_ms),
            }
        )
    document = {
        "command": "python benchmarks/prediction.py " + " ".join(sys.argv[1:]),
        "conditions": msgspec.to_builtins(host.table.conditions),
        "samples": host.table.calibration.samples,
        "device": msgspec.to_builtins(host.device),
        "all": summary(rows),
        "groups": {
            group: summary([row for row in rows if row["group"] == group])
            for group in dict.fromkeys(row["group"] for row in rows)
        },
        "networks": rows,
    }
    print(json.dumps(document, indent=1))


def test_networks() -> Iterator[tuple[str, Network]]:
    for name, (side, count) in itertools.product(SPACES, EACH.items()):
        space, rng = load_space(name), np.random.default_rng(SEED)
        for number in range(count):
            drawn = space.sample(rng).at(height=side)
            yield f"{name} at {side} px", msgspec.structs.replace(drawn, name=f"{name}_{side}_{number}")
    for network in map(load, list_models()):
        if network.head.answers == "classes" and cost(network, form="deploy").macs <= MOST_MACS:
            yield "zoo", network


def clock(networks: list[tuple[str, Network]], given: argparse.Namespace) -> list[list[float]]:
    """Milliseconds of every network, twice: all of them, then all of them again."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.files or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = {index: file(network, folder, given) for index, (_, network) in enumerate(networks)}
        return [once(files, given) for _ in range(2)]


def file(network: Network, folder: Path, given: argparse.Namespace) -> Path:
    path = folder / f"{network.name}_{given.precision}{find_runtime(given.runtime).suffix}"
    if path.exists():
        return path
    model, float32 = build(network).eval(), path if given.precision == "float32" else path.with_stem("float32")
    export_for_timing(model, network.input_shape, float32, given.runtime)
    if given.precision != "float32":
        quantise_for_timing(float32, path, network.input_shape, given.runtime, model)
    return path


def once(files: dict[int, Path], given: argparse.Namespace) -> list[float]:
    found = []
    for start in range(0, len(files), TOGETHER):
        part = {str(index): files[index] for index in range(start, min(start + TOGETHER, len(files)))}
        clocked = measure(part, runtime=given.runtime, threads=given.threads, rounds=given.rounds)
        found += [latency.ms for latency in clocked.values()]
        print(f"{len(found)} of {len(files)} clocked", file=sys.stderr)
    return found


def summary(rows: list[dict]) -> dict:
    first, again = (np.array([row[key] for row in rows]) for key in ("measured_ms", "again_ms"))
    true = np.sqrt(first * again)
    macs = np.array([row["macs"] for row in rows], dtype=float)
    models = {
        "tabled": np.array([row["tabled_ms"] for row in rows]),
        "roofline": np.array([row["predicted_ms"] for row in rows]),
        "macs": macs,
    }
    found = {"networks": len(rows), "noise_floor": errors(again, first)}
    for name, told in models.items():
        rate = np.median(true / told) if name == "macs" else 1.0
        found[name] = errors(told * rate, true)
    for name, key in (("tabled", "tabled_interval_ms"), ("roofline", "predicted_interval_ms")):
        inside = [row[key][0] <= ms <= row[key][1] for row, ms in zip(rows, true, strict=True)]
        found[name]["in_interval"] = round(float(np.mean(inside)), 3)
    return found


def errors(told: np.ndarray, true: np.ndarray) -> dict:
    off = np.abs(told / true - 1)
    return {
        "median_error": round(float(np.median(off)), 4),
        "p90_error": round(float(np.quantile(off, 0.9)), 4),
        "worst_error": round(float(off.max()), 4),
        "within_10_percent": round(float(np.mean(off <= 0.1)), 3),
        "median_ratio": round(float(np.median(told / true)), 3),
        "spearman": round(float(spearmanr(told, true).statistic), 4),
    }


main()
