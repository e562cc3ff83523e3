"""What the turns of one session tell: its time when nothing disturbs it, and whether that can be relied on."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ridgepoint.cost.latency import Latency, MeasuredLatency
from ridgepoint.deploy.rounds import State
from ridgepoint.deploy.turn import Turn

UNDISTURBED = 0.1
LEAST_SHARE = 0.5  # of the rounds must have been undisturbed
MOST_SLOWED = 1.08  # beside others, the slowdown of the references from which on times are not to be relied on
BUSY = 0.1  # the share of all processors from which on what others do may slow down what runs beside them
EMULATOR, HEAT = "an emulator", "it was so hot"  # what doubts begin with that others' work does not make
AGREE = 1.2  # how far the references' slowdowns may be apart: their middle is then within a tenth of each


@dataclass(frozen=True)
class Slowdown:
    """How much slower than on the calm machine references ran: the least and the most of them.

    `known` tells whether the calm machine was ever seen.
    """

    least: float = 1.0
    most: float = 1.0
    known: bool = True

    @property
    def middle(self) -> float:
        """As far from the least as from the most, as a ratio.

        What other shares would do on a restless machine, `benchmarks/references.py` tells.
        """
        return math.sqrt(self.least * self.most)


class Timing:
    """Times of one session in milliseconds.

    Turns that had to wait for their core are left out of all but the rounds, unless there are no others.

    Attributes:
        ms: What a run takes when nothing disturbs it, the first decile of all runs.
        median_ms: The median of the rounds' medians.
        p90_ms: The 90th percentile of all runs.
        spread: Slowest less fastest round's median, over the median.
        drift: By how much the last third of the rounds is slower than the first, as a share.
        slowdown: How much slower than when calm the machine was; all times above are divided by it.
        rounds_ms: Every round's median: rounds of sessions that were timed together can be compared in pairs.
        rounds_undisturbed_ms: Every round's first decile, for the same.
        runs: How many there were.
        means: Whether of each round's runs only their mean is known; then that stands for the round's runs above.
        undisturbed: The share of the rounds in which it had its core for itself.
        state: Of the machine meanwhile, as far as its system tells.
        doubt: Why the time is not to be relied on; None if it is.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        slowdown: Slowdown | None = None,
        *,
        load: float = 0.0,
        state: State | None = None,
    ):
        slowdown = slowdown or Slowdown()
        factor = slowdown.middle
        kept = [turn for turn in turns if turn.undisturbed] or turns
        medians = [statistics.median(turn.ms) / factor for turn in kept]
        everything = np.concatenate([np.asarray(turn.ms) for turn in kept]) / factor
        third = math.ceil(len(medians) / 3)
        self.rounds_ms = tuple(statistics.median(turn.ms) / factor for turn in turns)
        self.rounds_undisturbed_ms = tuple(float(np.quantile(turn.ms, UNDISTURBED)) / factor for turn in turns)
        self.ms = float(np.quantile(everything, UNDISTURBED))
        self.median_ms = float(np.median(medians))
        self.p90_ms = float(np.quantile(everything, 0.9))
        self.spread = (max(medians) - min(medians)) / self.median_ms
        self.drift = statistics.median(medians[-third:]) / statistics.median(medians[:third]) - 1
        self.slowdown = factor
        self.means = any(turn.runs is not None for turn in turns)
        self.runs = sum(len(turn.ms) if turn.runs is None else turn.runs for turn in kept)
        self.undisturbed = sum(turn.undisturbed for turn in turns) / len(turns)
        self.load, self.state = load, state or State()
        self.doubt = _emulated(self.state) or _doubt(self.undisturbed, len(turns), slowdown, load) or _heat(self.state)


def _doubt(undisturbed: float, rounds: int, slowdown: Slowdown, load: float) -> str | None:
    if undisturbed < LEAST_SHARE:
        return f"other processes took its core in {1 - undisturbed:.0%} of {rounds} rounds"
    if load > BUSY and slowdown.most > AGREE * slowdown.least:
        return (
            f"networks are slowed down unequally: of the reference networks one took {slowdown.least:.2f} and one "
            f"{slowdown.most:.2f} times as long as when this machine is calm"
        )
    if load > BUSY and slowdown.middle > MOST_SLOWED:
        return f"the reference networks took {slowdown.middle:.2f} times as long as when this machine is calm"
    if not slowdown.known and load > BUSY:
        return f"other processes keep {load:.0%} of this machine busy, and how fast it is when calm is not known yet"
    return None


def _heat(state: State) -> str | None:
    if not state.hot:
        return None
    celsius = "" if state.temperature_c is None else f" ({state.temperature_c:.0f} °C)"
    return f"{HEAT} that it slows itself down, in {state.hot:.0%} of the rounds{celsius}"


def _emulated(state: State) -> str | None:
    if state.emulated_by is None:
        return None
    return f"{EMULATOR} on {state.emulated_by} computes in its place, which takes other times than a real one"


def lasts(doubt: str) -> bool:
    """Whether a time stays in doubt however long one waits."""
    return doubt.startswith(EMULATOR)


_WHEN = {EMULATOR: "on an emulated processor", HEAT: "while this machine is too hot"}
_THEN = {EMULATOR: "Clock a real device", HEAT: "Wait until it has cooled"}


def when(doubt: str) -> str:
    """Under what a time is in doubt."""
    return _by_kind(_WHEN, doubt, "while this machine is busy")


def remedy(doubt: str) -> str:
    """What to do about a doubt."""
    return f"{_by_kind(_THEN, doubt, 'Wait until it is calm')}, or accept such times with --busy"


def _by_kind(words: Mapping[str, str], doubt: str, otherwise: str) -> str:
    return next((text for mark, text in words.items() if doubt.startswith(mark)), otherwise)


def doubts(latencies: Iterable[Latency], *, accepted: bool = False) -> list[str]:
    """What people must know about measured times that are not to be relied on, each reason once.

    Args:
        latencies: The times.
        accepted: Whether the user takes them as they are.
    """
    tell = _accepted if accepted else cannot_tell
    measured = [latency for latency in latencies if isinstance(latency, MeasuredLatency)]
    return [tell(reason) for reason in dict.fromkeys(latency.doubt for latency in measured) if reason]


def cannot_tell(doubt: str) -> str:
    """A doubt as people are told it, and what to do."""
    return f"not measurable {when(doubt)}: {doubt}. {remedy(doubt)}"


def _accepted(doubt: str) -> str:
    return f"taken {when(doubt).replace(' is ', ' was ')}, so in doubt: {doubt}"
