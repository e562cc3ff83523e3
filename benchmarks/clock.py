"""How far the same files are from themselves when they are measured again: a plain loop against the clock.

    python benchmarks/clock.py                       # 20 networks, 1 and 2 threads, about five minutes
    python benchmarks/clock.py --load 2              # while two other processes come and go

Every measurement is a process of its own. A plain loop warms up, runs a file 50 times in sequence and takes the median,
with the runtime's default settings. The clock is `ridgepoint.deploy.measure.measure`, which `bench` and `fit` use. Both
see each file twice with everything else between. Printed as JSON: by protocol and threads the median and the worst
decile of the files' differences, |second / first - 1|, and each file's.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.nn.build import build

# From about a half to 100 ms on one thread of a server's core.
NETWORKS = (
    ("mobilenetv3_small_050", None),
    ("mobilenetv3_small_100", None),
    ("mobilenetv4_conv_small_035", None),
    ("mobilenetv4_conv_small_050", None),
    ("mobilenetv4_conv_small", None),
    ("mobilenetv2_050", None),
    ("mobilenetv2_100", None),
    ("mobilenetv2_140", None),
    ("mobilenetv1_100", 128),
    ("mobilenetv1_100", None),
    ("mobilenetv3_large_075", None),
    ("mobilenetv3_large_100", None),
    ("mobileone_s0", None),
    ("mobileone_s1", None),
    ("mobileone_s3", None),
    ("mobilenetv4_conv_medium", None),
    ("mobilenetv4_hybrid_medium", None),
    ("efficientformer_l1", None),
    ("efficientformer_l3", None),
    ("efficientformer_l7", None),
)
PROTOCOLS = ("plain", "clock")


def main() -> None:
    options = parse()
    if options.measure:
        protocol, threads, *files = options.measure
        return print(json.dumps(TIMES[protocol]({Path(file).stem: Path(file) for file in files}, int(threads))))
    if options.busy:
        return busy()
    started = time.time()
    seen: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = export(Path(folder))
        with load_of(options.load):
            for turn in range(2):
                for protocol in PROTOCOLS:
                    for threads in options.threads:
                        say(f"measurement {turn + 1} of 2, {protocol}, {threads} thread(s)")
                        seen.setdefault(f"{protocol}, {threads}", []).append(measured(protocol, threads, files))
                if turn == 0:
                    time.sleep(options.pause)
    print(json.dumps(document(seen, options, time.time() - started), indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--pause", type=float, default=30.0, help="seconds between the two measurements")
    parser.add_argument("--load", type=int, default=0, help="busy processes that come and go meanwhile")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--busy", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def export(folder: Path) -> list[Path]:
    files = []
    for name, size in NETWORKS:
        network = load(name).at(height=size)
        files.append(folder / f"{name}@{network.input[1]}.onnx")
        export_for_timing(build(network), network.input_shape, files[-1])
    return files


def measured(protocol: str, threads: int, files: list[Path]) -> dict:
    """Milliseconds by file, and what the clock says of the machine, from a process of its own."""
    command = [sys.executable, __file__, "--measure", protocol, str(threads), *map(str, files)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def plain(files: dict[str, Path], threads: int) -> dict:
    import onnxruntime

    found = {}
    for name, path in files.items():
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        feed = {given.name: np.random.default_rng(0).standard_normal(given.shape).astype(np.float32)}
        times = []
        for _ in range(60):
            start = time.perf_counter()
            session.run(None, feed)
            times.append((time.perf_counter() - start) * 1e3)
        found[name] = statistics.median(times[10:])
    return {"ms": found}


def clock(files: dict[str, Path], threads: int) -> dict:
    found = measure(files, threads=threads)
    slowdown = next(iter(found.values())).slowdown
    return {"ms": {name: latency.ms for name, latency in found.items()}, "slowdown": round(slowdown, 3)}


TIMES = {"plain": plain, "clock": clock}


@contextmanager
def load_of(processes: int):
    """Others who work on this machine, each now and then."""
    others = [subprocess.Popen([sys.executable, __file__, "--busy"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()


def busy() -> None:
    """Work for up to four seconds on arrays that no cache holds, rest as long, and so on."""
    pick, array = random.Random(os.getpid()), np.ones(3_000_000)
    while True:
        end = time.monotonic() + pick.uniform(0.1, 4.0)
        while time.monotonic() < end:
            array * 1.0001
        time.sleep(pick.uniform(0.1, 4.0))


def document(seen: dict[str, list[dict]], options: argparse.Namespace, seconds: float) -> dict:
    rows = {}
    for key, pair in seen.items():
        first, second = (each["ms"] for each in pair)
        differences = {name: abs(second[name] / first[name] - 1) for name in first}
        rows[key] = {
            "median": round(statistics.median(differences.values()), 4),
            "worst_decile": round(float(np.quantile(list(differences.values()), 0.9)), 4),
            "slowdown_of_the_machine": [each.get("slowdown") for each in pair],
            "files": {
                name: {"ms": [round(first[name], 3), round(second[name], 3)], "difference": round(difference, 4)}
                for name, difference in differences.items()
            },
        }
    machine = {"processor": cpu_name(), "cpus": os.cpu_count(), "average_load": os.getloadavg()}
    return {
        "machine": machine,
        "onnxruntime": find_runtime("onnxruntime").version,
        "busy_processes": options.load,
        "seconds": round(seconds),
        "protocol_and_threads": rows,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
