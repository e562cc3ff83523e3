"""Clocks what `claims.yaml` compares: pairs of networks, and their ratio with its 95 % interval.

    python benchmarks/claims.py --prepare      # writes the files; needs no calm machine
    python benchmarks/claims.py                # clocks them, about ten minutes on a calm machine
    python benchmarks/claims_computed.py       # what takes the latencies of the zoo
    python tools/tables.py                     # docs/claims.md

One study after the other: its networks are exported, folded, each file is loaded several times, and all are clocked in
interleaved rounds on one thread; the whole zoo goes in groups of `TOGETHER`. A study is written to
`benchmarks/results/claims.json` as soon as it is done. One that is there is not clocked again, unless `--again` is
given or its networks are others now. Files are kept in `--files`. A study whose runtime is not here is left out.
"""

import argparse
import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from claimed import RESULTS, Claim, Clocked, Study, claims
from one_image_int8 import quantise

from ridgepoint.arch.network import Network
from ridgepoint.cost.count import cost
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import PATIENCE_S, ROUND_S, time_sessions
from ridgepoint.deploy.reference import references
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.deploy.timing import Timing
from ridgepoint.errors import InputError
from ridgepoint.files import write_atomic
from ridgepoint.nn.build import build
from ridgepoint.probe import finding

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from compact import compact

TOGETHER = 24
Timings = dict[tuple[str, int], Timing]


def main() -> None:
    """Clocks what is not in the results yet."""
    given = parse()
    torch.set_num_threads(1)
    given.files.mkdir(parents=True, exist_ok=True)
    asked = claims()
    found = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    for name in given.study or asked.studies:
        study, began = asked.studies[name], time.monotonic()
        members = study.members()
        networks = {title: clocked.load() for title, clocked in members.items()}
        stamp = {title: f"{network.digest} {members[title].precision}" for title, network in networks.items()}
        if not (given.prepare or given.again) and found.get(name, {}).get("files") == stamp:
            say(f"{name}: is there")
            continue
        try:
            runtime = find_runtime(study.runtime)
        except InputError as error:
            say(f"{name}: left out: {error}")
            continue
        files = {title: made(members[title], networks[title], runtime, given.files) for title in networks}
        if given.prepare:
            continue
        timings = clocked_in_groups(name, study, files, given)
        pairs = [claim for claim in asked.claims if claim.study == name]
        told = tell(study, networks, timings, pairs) | {"seconds": round(time.monotonic() - began), "files": stamp}
        found[name] = msgspec.structs.asdict(runtime.conditions(1)) | told
        write_atomic(given.out, compact(found) + "\n")


def parse() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "claims.json")
    parser.add_argument("--files", type=Path, default=Path("runs/claims"), help="where files are made and kept")
    parser.add_argument("--study", action="append", help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, help="instead of each study's own")
    parser.add_argument("--prepare", action="store_true", help="make the files, clock nothing")
    parser.add_argument("--again", action="store_true", help="clock what is in the results, too")
    parser.add_argument("--busy", action="store_true", help="do not wait for a calm machine")
    return parser.parse_args()


def made(clocked: Clocked, network: Network, runtime: Any, folder: Path) -> Path:
    """The network's file, in a folder of its own; one that is there is taken."""
    path = folder / f"{network.digest}_{clocked.precision}_{runtime.name}" / f"model{runtime.suffix}"
    if not path.exists():
        say(f"exporting {clocked.network}, {clocked.precision}, {runtime.name}")
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            file = Path(unfinished) / "model" / path.name
            file.parent.mkdir()
            export_for_timing(build(network), network.input_shape, file, runtime.name)
            if clocked.precision == "int8":
                quantise(file, network)
            file.parent.rename(path.parent)
    return path


def clocked_in_groups(name: str, study: Study, files: dict[str, Path], given: argparse.Namespace) -> Timings:
    """Times of every load of every file."""
    timings: Timings = {}
    waiting = iter(files.items())
    while group := dict(islice(waiting, TOGETHER)):
        sessions = {
            (title, load): open_session(path, runtime=study.runtime)
            for title, path in group.items()
            for load in range(study.loads)
        }
        timings |= time_sessions(
            sessions,
            reference=references(study.runtime, 1),
            rounds=given.rounds or study.rounds,
            round_s=ROUND_S,
            patience_s=0.0 if given.busy else PATIENCE_S,
            progress=lambda done, of: say(f"{name}: round {done} of {of}"),
        )
    return timings


def tell(study: Study, networks: dict[str, Network], timings: Timings, pairs: list[Claim]) -> dict[str, Any]:
    """Times of the networks and ratios of the pairs."""
    macs = {title: cost(network, form="deploy").macs for title, network in networks.items()}
    clocked = {
        title: finding.Clocked(macs[title], np.array([timings[title, load].rounds_ms for load in range(study.loads)]))
        for title in networks
    }
    return {
        "loads": study.loads,
        "rounds": len(next(iter(timings.values())).rounds_ms),
        "doubt": doubt(timings, study.loads, *networks),
        "networks": {
            title: {
                "ms": round(min(timings[title, load].ms for load in range(study.loads)), 4),
                "median_ms": round(float(np.median(each.ms)), 4),
                "macs": macs[title],
            }
            for title, each in clocked.items()
        },
        "pairs": [
            ratio(claim, clocked) | {"doubt": doubt(timings, study.loads, claim.over, claim.under)} for claim in pairs
        ],
    }


def doubt(timings: Timings, loads: int, *titles: str) -> str | None:
    """Why the times of some networks are not to be relied on, if they are not."""
    told = (timings[title, load].doubt for title in titles for load in range(loads))
    return next(filter(None, told), None)


def ratio(claim: Claim, clocked: dict[str, finding.Clocked]) -> dict[str, Any]:
    """How many times as long as the other one network takes, with the interval's ends."""
    over, under = clocked[claim.over], clocked[claim.under]
    low, middle, high = finding.interval(finding.ratios("time", [over], [under]))
    ends = {name: round(value, 4) for name, value in (("low", low), ("value", middle), ("high", high))}
    return {"over": claim.over, "under": claim.under, **ends, "macs": round(over.macs / under.macs, 3)}


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
