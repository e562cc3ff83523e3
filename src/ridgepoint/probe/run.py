"""Running studies: every variant is exported, loaded three times and clocked in interleaved rounds beside the others.

A file is loaded more than once because where a session's memory lies moves its time by a few percent for as long as it
lives: what differs between loads of one file is no finding.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import PATIENCE_S, time_sessions
from ridgepoint.deploy.reference import references
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, open_session
from ridgepoint.deploy.runtimes.session import Graph
from ridgepoint.display import Display, Silent
from ridgepoint.nn.count import Counts, count
from ridgepoint.nn.fuse import fuse
from ridgepoint.probe.finding import Clocked, Finding, interval, ratios
from ridgepoint.probe.result import (
    FindingResult,
    ProbeResult,
    PublishedRatio,
    PublishedResult,
    StudyResult,
    VariantResult,
)
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import Variant

LOADS, ROUNDS, ROUND_S = 3, 30, 0.02
_SPREAD = (0.1, 0.5, 0.9)


def probe(
    studies: Sequence[Study],
    *,
    runtime: str = DEFAULT,
    threads: int = 1,
    rounds: int = ROUNDS,
    busy: bool = False,
    display: Display | None = None,
) -> ProbeResult:
    """Run studies one after the other.

    Args:
        studies: What to ask.
        runtime: The runtime to clock with.
        threads: Threads inside one inference.
        rounds: How many turns each session gets.
        busy: Do not wait for a calm machine.
        display: Who watches.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    display = display or Silent()
    conditions, started = find_runtime(runtime).conditions(threads), time.monotonic()
    found = []
    for study in studies:
        with display.phase(study.name):
            found.append(_run(study, runtime, threads, rounds, busy, display.progress))
    return ProbeResult(
        **msgspec.structs.asdict(conditions),
        loads=LOADS,
        rounds=rounds,
        seconds=time.monotonic() - started,
        studies=tuple(found),
    )


def _run(
    study: Study, runtime: str, threads: int, rounds: int, busy: bool, progress: Callable[[float, str], None]
) -> StudyResult:
    sessions, counts, graphs = {}, {}, dict[str, Graph]()
    with tempfile.TemporaryDirectory() as folder:
        for index, (name, variant) in enumerate(study.variants.items()):
            progress(index / len(study.variants) / 2, f"export {name}")
            path = Path(folder) / f"{index}{find_runtime(runtime).suffix}"
            counts[name] = _export(variant, path, runtime)
            for load in range(LOADS):
                sessions[f"{name} {load}"] = open_session(path, runtime=runtime, threads=threads)
            if (graph := find_runtime(runtime).graph(path)) is not None:
                graphs[name] = graph
        timings = time_sessions(
            sessions,
            reference=references(runtime, threads),
            rounds=rounds,
            round_s=ROUND_S,
            patience_s=0.0 if busy else PATIENCE_S,
            progress=lambda done, of: progress(0.5 + done / of / 2, f"round {done} of {of}"),
        )
    clocked = {
        name: Clocked(counts[name].macs, np.array([timings[f"{name} {load}"].rounds_ms for load in range(LOADS)]))
        for name in study.variants
    }
    return StudyResult(
        name=study.name,
        title=study.title,
        about=study.about,
        source=study.source,
        variants=tuple(_variant(name, clocked[name], counts[name], graphs) for name in study.variants),
        groups=dict(study.groups),
        findings=tuple(_judge(study, finding, clocked, graphs) for finding in study.findings),
        doubt=next((timing.doubt for timing in timings.values() if timing.doubt), None),
        published=tuple(
            PublishedResult(each.device, each.source, each.unit, dict(each.values)) for each in study.published
        ),
    )


def _export(variant: Variant, path: Path, runtime: str) -> Counts:
    torch.manual_seed(0)
    module = variant.make().eval()
    module = fuse(module) if variant.folded else module
    export_for_timing(module, variant.input, path, runtime, folded=False)
    shape = variant.input
    return count(module, (shape.channels, shape.height, shape.width))


def _variant(name: str, clocked: Clocked, counts: Counts, graphs: dict[str, Graph]) -> VariantResult:
    low, middle, high = np.quantile(clocked.ms, _SPREAD)
    graph = graphs.get(name)
    twin = next((other for other in graphs if graphs[other].digest == graphs[name].digest), name) if graph else name
    return VariantResult(
        name=name,
        ms=float(middle),
        low_ms=float(low),
        high_ms=float(high),
        macs=counts.macs,
        params=counts.params,
        operators=graph.operators if graph else None,
        same_graph_as=None if twin == name else twin,
    )


def _judge(study: Study, finding: Finding, clocked: dict[str, Clocked], graphs: dict[str, Graph]) -> FindingResult:
    over, under = ([clocked[name] for name in study.members(side)] for side in (finding.over, finding.under))
    low, middle, high = interval(ratios(finding.quantity, over, under))
    both = [graphs[side].digest for side in (finding.over, finding.under) if side in graphs]
    published = [(each, each.ratio(finding)) for each in study.published]
    return FindingResult(
        claim=finding.claim,
        over=finding.over,
        under=finding.under,
        quantity=finding.quantity,
        at_least=finding.at_least or None,
        at_most=None if math.isinf(finding.at_most) else finding.at_most,
        ratio=middle,
        low=low,
        high=high,
        verdict=finding.judge(low, high),
        ours=finding.ours,
        same_graph=len(both) == 2 and both[0] == both[1],
        published=tuple(
            PublishedRatio(each.device, each.source, ratio) for each, ratio in published if ratio is not None
        ),
    )
