"""The times of a fit's exported files on a target: clocked once per run, or predicted anew."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.timing import doubts
from ridgepoint.fit.goals import Goal
from ridgepoint.fit.job import FitJob
from ridgepoint.run.result import Told


def times_once(
    job: FitJob, goal: Goal, files: dict[str, Path], networks: dict[str, Network], *, patience_s: float
) -> Mapping[str, Told]:
    """The times of the exported files, clocked side by side; a resumed run keeps what it knows, unless it is doubted.

    Where the device is not at hand, they are predicted anew.
    """
    settings, step = job.run.settings, goal.step("measured")
    if not goal.target.measured:
        return goal.target.files(files, networks, patience_s=0.0)
    known = job.run.read_step(step, dict[str, MeasuredLatency])
    if known is None or known.keys() != files.keys():
        job.display.progress(0.5, "measuring the exported files side by side")
        found = goal.target.files(files, networks, patience_s=0.0 if settings.busy else patience_s)
        known = msgspec.to_builtins(found)
        for text in doubts(found.values(), accepted=settings.busy):
            job.display.warn(f"{goal.name}: {text}" if job.further else text)
        if settings.busy or not doubts(found.values()):  # what is doubted is clocked again by a resume
            job.run.write_step(step, known)
    return msgspec.convert(known, dict[str, MeasuredLatency])
