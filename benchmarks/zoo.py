"""Latency of the zoo against timm's networks of the same names, in one process: eager PyTorch and ONNX Runtime.

    python benchmarks/zoo.py                      # nine networks, eager, 1 and 2 threads, both memory formats
    python benchmarks/zoo.py --onnx               # exported files in ONNX Runtime as well
    python benchmarks/zoo.py --networks mobilenetv4_hybrid_medium --rounds 15

Both sides hold the same weights and are in their best deploy form: ours folded; timm's re-parameterised by its own
function and, going further than timm does, with every convolution and norm folded. The sides take turns run by run,
timm's twice, which tells the noise. A round gives one ratio of medians; below 1 is faster than timm. Printed as JSON:
per case the median of the rounds' ratios and the middle half of them.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import timm
import torch
from timm.utils import reparameterize_model
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ridgepoint.arch.zoo import load
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
LAYOUTS = ("default", "channels_last")
Side = Callable[[], object]


def main() -> None:
    options = parse()
    rows = []
    for name in options.networks:
        torch.manual_seed(0)
        theirs = timm.create_model(name).eval()
        ours = create_model(name).eval()
        load_weights(ours, theirs.state_dict())
        ours, theirs = fuse(ours), fold_pairs(reparameterize_model(theirs))
        x = torch.randn(1, *load(name).input)
        with torch.inference_mode():
            error = ((ours(x) - theirs(x)).abs().max() / theirs(x).abs().max()).item()
            assert error < 1e-3, (name, error)
            for threads in options.threads:
                for layout in () if options.only_onnx else options.layouts:
                    rows.append({**eager(ours, theirs, x, threads, layout, options), "network": name})
                    say(rows[-1])
        if options.onnx or options.only_onnx:
            with tempfile.TemporaryDirectory() as folder:
                files = [export(side, x, Path(folder) / f"{at}.onnx") for at, side in enumerate((ours, theirs))]
                for threads in options.threads:
                    rows.append({**onnx(files, x, threads, options), "network": name})
                    say(rows[-1])
    machine = {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(), "load": os.getloadavg()}
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
    parser.add_argument("--seconds", type=float, default=0.25, help="time for each side in a round")
    parser.add_argument("--onnx", action="store_true", help="exported files in ONNX Runtime as well")
    parser.add_argument("--only-onnx", action="store_true")
    return parser.parse_args()


def eager(ours, theirs, x, threads: int, layout: str, options) -> dict:
    torch.set_num_threads(threads)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    ours, theirs, again, x = (thing.to(memory_format=memory) for thing in (ours, theirs, deepcopy(theirs), x))
    result = race(lambda: ours(x), lambda: theirs(x), lambda: again(x), options)
    return {"runtime": "torch", "threads": threads, "layout": layout, **result}


def onnx(files: list[Path], x, threads: int, options) -> dict:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    files = [*files, files[1]]
    sessions = [onnxruntime.InferenceSession(file, settings, ["CPUExecutionProvider"]) for file in files]
    feeds = [{session.get_inputs()[0].name: x.numpy()} for session in sessions]
    runs = [lambda s=session, f=feed: s.run(None, f) for session, feed in zip(sessions, feeds, strict=True)]
    error = abs(runs[0]()[0] - runs[1]()[0]).max() / abs(runs[1]()[0]).max()
    assert error < 1e-3, error
    return {"runtime": "onnxruntime", "threads": threads, "layout": "default", **race(*runs, options)}


def race(ours: Side, theirs: Side, again: Side, options) -> dict:
    """Take turns, one run each: what else the machine does meets all sides alike. A round gives a ratio of medians.

    `again` is timm's network with weights of its own: shared ones would still lie in the cache when their turn comes.
    """
    sides = {"ours": ours, "timm": theirs, "again": again}
    medians: dict[str, list[float]] = {key: [] for key in sides}
    for _ in range(2):
        ours(), theirs(), again()
    for _ in range(options.rounds):
        times = turns(sides, options.seconds)
        for key, values in times.items():
            medians[key].append(statistics.median(values))
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


def export(model: nn.Module, x, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
        logging.disable(logging.NOTSET)
    return path


def say(row: dict) -> None:
    case = f"{row['network']:28s} {row['runtime']:11s} {row['threads']} threads {row['layout']:13s}"
    figures = f"ratio {row['ratio']:.3f} {row['middle_half']} timm/timm {row['timm_against_itself']}"
    sys.stderr.write(f"{case} {figures}  {row['ours_ms']:.2f} / {row['timm_ms']:.2f} ms\n")


if __name__ == "__main__":
    main()
