"""Latency of the zoo against timm's networks of the same names: eager PyTorch in one process, and exported files.

    python benchmarks/zoo.py                      # nine networks, eager, 1 and 2 threads, both memory formats
    python benchmarks/zoo.py --no-eager --runtimes onnxruntime openvino --threads 1       # exported files alone
    python benchmarks/zoo.py --networks mobilenetv4_hybrid_medium --rounds 15

Both sides hold the same weights and are in their best deploy form: ours folded; timm's re-parameterised by its own
function and, going further than timm does, with every convolution and norm folded. In files ours has the form for its
runtime; timm's is written by the same converter as timm gives it for export (`exportable=True`). The sides take turns,
timm's twice, which tells the noise: in PyTorch run by run, files by the clock that `bench` uses. A round gives one
ratio; below 1 is faster than timm. Printed as JSON: per case the median of the rounds' ratios and the middle half of
them, and of files why the times are in doubt, where they are.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import timm
import torch
from timm.utils import reparameterize_model
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ridgepoint.arch.shape import Shape
from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy.export import export_for_timing, quiet
from ridgepoint.deploy.measure import Job, clock
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.weights import load_weights

HEADLINE = (
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "mobileone_s1",
    "efficientformer_l1",
)
SIDES = ("ours", "timm", "again")
Side = Callable[[], object]


def main() -> None:
    options = parse()
    rows = []
    for name in options.networks:
        torch.manual_seed(0)
        theirs = timm.create_model(name, exportable=True).eval()
        ours = create_model(name).eval()
        load_weights(ours, theirs.state_dict())
        unfused, ours, theirs = ours, fuse(ours), fold_pairs(reparameterize_model(theirs))
        x = torch.randn(1, *load(name).input)
        with torch.inference_mode():
            error = ((ours(x) - theirs(x)).abs().max() / theirs(x).abs().max()).item()
            assert error < 1e-3, (name, error)
            for threads in options.threads:
                for layout in options.layouts if options.eager else ():
                    rows.append({**eager(ours, theirs, x, threads, layout, options), "network": name})
                    say(rows[-1])
        for runtime in options.runtimes:
            with tempfile.TemporaryDirectory() as folder:
                files = exported(unfused, theirs, x, runtime, Path(folder))
                for threads in options.threads:
                    rows.append({**clocked(files, runtime, threads, options), "network": name})
                    say(rows[-1])
    machine = {"processor": cpu_name(), "cpus": os.cpu_count(), "load": os.getloadavg()}
    versions = {"torch": torch.__version__, "timm": timm.__version__}
    print(json.dumps({"machine": machine, "versions": versions, "rounds": options.rounds, "rows": rows}, indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=HEADLINE)
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 2))
    parser.add_argument(
        "--layouts", nargs="+", choices=("default", "channels_last"), default=("default", "channels_last")
    )
    parser.add_argument("--rounds", type=int, default=9, help="rounds per case")
    parser.add_argument("--file-rounds", type=int, default=30, help="turns of each file")
    parser.add_argument("--seconds", type=float, default=0.25, help="time for each side in a round")
    parser.add_argument("--runtimes", nargs="+", default=(), help="exported files in these as well")
    parser.add_argument("--no-eager", dest="eager", action="store_false", help="exported files alone")
    return parser.parse_args()


def eager(ours, theirs, x, threads: int, layout: str, options) -> dict:
    torch.set_num_threads(threads)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    ours, theirs, again, x = (thing.to(memory_format=memory) for thing in (ours, theirs, deepcopy(theirs), x))
    result = race(lambda: ours(x), lambda: theirs(x), lambda: again(x), options)
    return {"runtime": "torch", "threads": threads, "layout": layout, **result}


def exported(ours: nn.Module, theirs: nn.Module, x, runtime: str, folder: Path) -> dict[str, Path]:
    """Files of both sides, timm's twice; all answer alike."""
    writer = find_runtime(runtime)
    files = {side: folder / side / f"model{writer.suffix}" for side in SIDES}
    for file in files.values():
        file.parent.mkdir()
    export_for_timing(ours, Shape(*x.shape[1:]), files["ours"], runtime)
    for side in SIDES[1:]:
        with quiet(), torch.no_grad():
            writer.export(theirs, x, files[side], about=None)
    answers = {side: writer.open(file).run(x.numpy()) for side, file in files.items()}
    error = abs(answers["ours"] - answers["timm"]).max() / abs(answers["timm"]).max()
    assert error < 1e-3, (runtime, error)
    return files


def clocked(files: dict[str, Path], runtime: str, threads: int, options) -> dict:
    """By the first deciles of the rounds that the files had together."""
    jobs = {side: Job(file, runtime, threads) for side, file in files.items()}
    found = clock(jobs, rounds=options.file_rounds)
    times = {side: list(timing.rounds_undisturbed_ms) for side, (_, timing) in found.items()}
    doubts = sorted({latency.doubt for latency, _ in found.values() if latency.doubt})
    version = found["ours"][0].runtime_version
    row = {"runtime": runtime, "version": version, "threads": threads, "layout": "default", **compared(times)}
    return row | ({"doubt": doubts} if doubts else {})


def race(ours: Side, theirs: Side, again: Side, options) -> dict:
    """Take turns, one run each: what else the machine does meets all sides alike. A round gives a ratio of medians.

    `again` is timm's network with weights of its own: shared ones would still lie in the cache when their turn comes.
    """
    sides = dict(zip(SIDES, (ours, theirs, again), strict=True))
    medians: dict[str, list[float]] = {key: [] for key in sides}
    for _ in range(2):
        ours(), theirs(), again()
    for _ in range(options.rounds):
        times = turns(sides, options.seconds)
        for key, values in times.items():
            medians[key].append(statistics.median(values))
    return compared(medians)


def compared(medians: dict[str, list[float]]) -> dict:
    """What the rounds of the three sides tell."""
    ratios = [a / ((b + c) / 2) for a, b, c in zip(*medians.values(), strict=True)]
    noise = [b / c for b, c in zip(medians["timm"], medians["again"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(middle, 3),
        "middle_half": [round(low, 3), round(high, 3)],
        "timm_against_itself": [round(share, 3) for share in statistics.quantiles(noise, n=4)],
        "ours_ms": round(statistics.median(medians["ours"]), 3),
        "timm_ms": round(statistics.median(medians["timm"]), 3),
    }


def turns(sides: dict[str, Side], seconds: float) -> dict[str, list[float]]:
    """Times in milliseconds of single runs in turn, in an order that rotates; at least five of each side."""
    order, times = list(sides), {key: [] for key in sides}
    end = time.perf_counter() + 3 * seconds
    while time.perf_counter() < end or len(times[order[0]]) < 5:
        order = [*order[1:], order[0]]
        for key in order:
            start = time.perf_counter()
            sides[key]()
            times[key].append((time.perf_counter() - start) * 1e3)
    return times


def fold_pairs(model: nn.Module) -> nn.Module:
    """timm's network with every norm that directly follows a convolution folded, its activation kept."""
    for module in model.modules():
        before: tuple[str, nn.Module] | None = None
        for key, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and before[1].out_channels == child.num_features:
                module.add_module(before[0], fuse_conv_bn_eval(before[1], child))
                module.add_module(key, getattr(child, "act", nn.Identity()))
            before = (key, child) if isinstance(child, nn.Conv2d) else None
    return model


def say(row: dict) -> None:
    case = f"{row['network']:28s} {row['runtime']:11s} {row['threads']} threads {row['layout']:13s}"
    figures = f"ratio {row['ratio']:.3f} {row['middle_half']} timm/timm {row['timm_against_itself']}"
    sys.stderr.write(f"{case} {figures}  {row['ours_ms']:.2f} / {row['timm_ms']:.2f} ms\n")


if __name__ == "__main__":
    main()
