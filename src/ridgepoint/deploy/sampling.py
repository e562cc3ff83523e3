"""The timing that a calibration learns from: random networks, a few at a time, for as long as there is time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import monotonic

import msgspec

from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.cost.calibrating import LEAST_SAMPLES
from ridgepoint.cost.samples import sample_network
from ridgepoint.cost.table import Conditions, LatencyTable, Sample
from ridgepoint.deploy.measure import Timing
from ridgepoint.deploy.parts import part_of, time_parts

SAMPLES = 1600
AGAIN = 48  # of them are timed once more at the end: how far two measurements are apart
TOGETHER = 8
SAVE_EVERY_S = 10.0
Progress = Callable[[float, str], None]


def time_samples(table: LatencyTable, path: Path, *, time_s: float, progress: Progress | None = None) -> None:
    """Add samples to a table, which is saved now and then: what is interrupted goes on where it was.

    Args:
        table: The table; what it holds already is not timed again.
        path: Where it is saved.
        time_s: Seconds to time for; the fewest that can be learned from are timed in any case.
        progress: Called with the share done and a text.
    """
    samples, began = table.samples, monotonic()
    before, saved_at, slowdowns = len(samples), began, [1.0]
    while len(samples) < SAMPLES:
        used = (monotonic() - began) / time_s
        if used >= 1 and len(samples) >= LEAST_SAMPLES:
            break
        numbers = range(len(samples), min(len(samples) + TOGETHER, SAMPLES))
        networks = [sample_network(number) for number in numbers]
        clocked = _clock(networks, table.conditions, median(slowdowns))
        samples += [Sample(network=network, ms=timing.ms) for network, timing in zip(networks, clocked, strict=True)]
        slowdowns.append(clocked[0].slowdown)
        if monotonic() - saved_at > SAVE_EVERY_S:
            table.save(path)
            saved_at = monotonic()
        if progress:
            done = max(used, (len(samples) - before) / (SAMPLES - before))
            progress(min(done, 1.0), f"{len(samples)} networks timed")
    for start in range(0, min(AGAIN, len(samples)), TOGETHER):
        part = samples[start : start + TOGETHER]
        if all(sample.again_ms is None for sample in part):
            clocked = _clock([sample.network for sample in part], table.conditions, median(slowdowns))
            pairs = zip(part, clocked, strict=True)
            samples[start : start + TOGETHER] = [msgspec.structs.replace(one, again_ms=two.ms) for one, two in pairs]
    table.save(path)


def _clock(networks: Sequence[Network], conditions: Conditions, usual: float) -> list[Timing]:
    return time_parts([part_of(place_blocks(network, deploy=True)) for network in networks], conditions, usual=usual)
