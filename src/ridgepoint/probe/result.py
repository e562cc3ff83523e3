"""What a probe found, as values that travel as JSON."""

import msgspec

from ridgepoint.probe.finding import Quantity, Verdict

_TOLD = {
    "time": "{over} takes {ratio} times as long as {under}",
    "time per MAC": "a MAC of {over} takes {ratio} times as long as one of {under}",
    "MACs in the same time": "{over} does {ratio} times the MACs of {under} in the same time",
}


class VariantResult(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: median of all rounds' times, their 10th and 90th percentile, counts of what was exported.

    `operators` are those that the runtime really runs, where it tells; `same_graph_as` is an earlier variant of which
    the runtime makes the same graph.
    """

    name: str
    ms: float
    low_ms: float
    high_ms: float
    macs: int
    params: int
    operators: dict[str, int] | None = None
    same_graph_as: str | None = None


class PublishedRatio(msgspec.Struct, frozen=True):
    """The paper's ratio for a finding."""

    device: str
    source: str
    ratio: float


class FindingResult(msgspec.Struct, frozen=True, kw_only=True):
    """A claim and how it fared.

    `ratio` is the median over rounds and loads, `low` and `high` end its 95 % interval. The claim holds where all
    three lie from `at_least` to `at_most` (None: no bound).
    """

    claim: str
    over: str
    under: str
    quantity: Quantity
    at_least: float | None
    at_most: float | None
    ratio: float
    low: float
    high: float
    verdict: Verdict
    same_graph: bool
    ours: bool
    published: tuple[PublishedRatio, ...]

    @property
    def sentence(self) -> str:
        """What was found, for people: the ratio here with its spread, and the paper's."""
        here = _TOLD[self.quantity].format(over=self.over, under=self.under, ratio=f"{self.ratio:.2f}")
        paper = ", ".join(f"{each.ratio:.2f} ({each.device})" for each in self.published)
        none = "a question of ours, no paper's claim" if self.ours else "no published figure is at hand"
        told = f"in the paper {paper}" if paper else none
        same = " Exporter and runtime make the same graph of both." if self.same_graph else ""
        return f"Here {here} ({self.low:.2f} to {self.high:.2f}); {told}.{same}"


class PublishedResult(msgspec.Struct, frozen=True):
    """A paper's figures for a study's variants."""

    device: str
    source: str
    unit: str
    values: dict[str, float]


class StudyResult(msgspec.Struct, frozen=True, kw_only=True):
    """One study's variants and findings; `groups` are names for several variants together.

    `doubt` tells why its times are not to be relied on; absent if they are.
    """

    name: str
    title: str
    about: str
    source: str
    variants: tuple[VariantResult, ...]
    groups: dict[str, tuple[str, ...]]
    findings: tuple[FindingResult, ...]
    published: tuple[PublishedResult, ...]
    doubt: str | None = None


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """All studies, and the conditions under which they were clocked."""

    device: str
    runtime: str
    runtime_version: str
    threads: int
    precision: str
    place: str = "host"
    loads: int
    rounds: int
    seconds: float
    studies: tuple[StudyResult, ...]

    @property
    def protocol(self) -> str:
        """How it was clocked, one or two sentences."""
        return (
            f"Measured on {self.device}, {self.runtime} {self.runtime_version}, {self.threads} "
            f"thread{'' if self.threads == 1 else 's'}, {self.precision}, batch 1: every file loaded {self.loads} "
            f"times, {self.rounds} interleaved rounds. In brackets: the 95 % interval of the ratio, from rounds and "
            "loads drawn anew; a claim holds where all of it agrees. Less than 3 % is not called slower."
        )
