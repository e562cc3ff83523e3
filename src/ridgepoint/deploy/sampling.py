"""The timing that a calibration learns from: random networks, a few at a time, for as long as there is time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import msgspec

from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.cost.calibrating import LEAST_SAMPLES
from ridgepoint.cost.samples import sample_network
from ridgepoint.cost.table import Conditions, LatencyTable, Sample
from ridgepoint.deploy.measure import PATIENCE_S
from ridgepoint.deploy.parts import part_of, time_parts
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.timing import Timing, cannot_tell, lasts
from ridgepoint.errors import NotMeasurableError

SAMPLES = 1600
AGAIN = 48  # of them are timed once more at the end: how far two measurements are apart
TOGETHER = 8
SAVE_EVERY_S = 10.0
Progress = Callable[[float, str], None]


def time_samples(
    table: LatencyTable,
    path: Path,
    *,
    time_s: float,
    busy: bool = False,
    place: Place = LOCAL,
    progress: Progress | None = None,
) -> None:
    """Add samples to a table, which is saved now and then: what is interrupted goes on where it was.

    Times that are not to be relied on are not kept; those networks are timed again.

    Args:
        table: The table; what it holds already is not timed again.
        path: Where it is saved.
        time_s: Seconds to time for; the fewest that can be learned from are timed in any case.
        busy: Keep all times.
        place: Where they are timed.
        progress: Called with the share done and a text.

    Raises:
        NotMeasurableError: If the machine was so busy all the time that there are too few.
        UnreachableError: If the place cannot be reached any more; what was timed is saved.
    """
    try:
        doubt = _time_some(table, path, time_s, busy, place, progress)
        _time_again(table, busy, place)
    finally:
        table.save(path, doubted=busy, calibrating=True)
    samples = table.samples
    if len(samples) < LEAST_SAMPLES or not any(sample.again_ms for sample in samples):
        raise NotMeasurableError(f"{_told(samples)}, {LEAST_SAMPLES} are needed: {cannot_tell(doubt or '')}")


def _time_some(
    table: LatencyTable, path: Path, time_s: float, busy: bool, place: Place, progress: Progress | None
) -> str | None:
    """Samples for as long as there is time, and enough; the last doubt."""
    samples, began, saved_at, doubt = table.samples, monotonic(), monotonic(), None
    before = len(samples)
    while len(samples) < SAMPLES:
        used = (monotonic() - began) / time_s
        if used >= 1 and (len(samples) >= LEAST_SAMPLES or doubt is not None):
            break
        networks = [sample_network(number) for number in range(len(samples), min(len(samples) + TOGETHER, SAMPLES))]
        timings = _clock(networks, table.conditions, busy, place)
        doubt = None if busy else next((timing.doubt for timing in timings if timing and timing.doubt), None)
        if doubt is None:
            samples += [_sample(*pair) for pair in zip(networks, timings, strict=True)]
        if monotonic() - saved_at > SAVE_EVERY_S:
            table.save(path, doubted=busy, calibrating=True)
            saved_at = monotonic()
        if progress:
            done = max(used, (len(samples) - before) / (SAMPLES - before))
            progress(min(done, 1.0), f"{_told(samples)}{'; waiting for a calm machine' if doubt else ''}")
        if doubt is not None and lasts(doubt):
            break
    return doubt


def _time_again(table: LatencyTable, busy: bool, place: Place) -> None:
    """Second times of the first samples."""
    samples = table.samples
    for start in range(0, min(AGAIN, len(samples)), TOGETHER):
        part = samples[start : start + TOGETHER]
        if any(sample.again_ms is not None for sample in part):
            continue
        timings = _clock([sample.network for sample in part], table.conditions, busy, place)
        if busy or not any(timing and timing.doubt for timing in timings):
            samples[start : start + TOGETHER] = [
                msgspec.structs.replace(one, again_ms=two.ms if two else None)
                for one, two in zip(part, timings, strict=True)
            ]


def _sample(network: Network, timing: Timing | None) -> Sample:
    if timing is None:
        return Sample(network=network, ms=None, at=time.time())
    return Sample(network=network, ms=timing.ms, at=time.time(), load=timing.load)


def _told(samples: Sequence[Sample]) -> str:
    left_out = sum(sample.ms is None for sample in samples)
    unrun = f", {left_out} left out that the runtime cannot run" if left_out else ""
    return f"{len(samples) - left_out} networks timed{unrun}"


def _clock(networks: Sequence[Network], conditions: Conditions, busy: bool, place: Place) -> list[Timing | None]:
    parts = [part_of(place_blocks(network, deploy=True)) for network in networks]
    return time_parts(parts, conditions, patience_s=0.0 if busy else PATIENCE_S, place=place)
