"""A study: variants that differ in one thing, what papers measured of them, and what they concluded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ridgepoint.probe.finding import Finding, Quantity
from ridgepoint.probe.variant import Variant


@dataclass(frozen=True)
class Published:
    """Figures of a paper for some variants.

    Attributes:
        device: Device and software, and the network where it is another than ours.
        source: Paper and table.
        values: A figure per variant or group.
        unit: Of the figures.
        quantity: What their ratio is comparable with.
    """

    device: str
    source: str
    values: Mapping[str, float]
    unit: str = "ms"
    quantity: Quantity = "time"

    def ratio(self, finding: Finding) -> float | None:
        """The published ratio for a finding, if both of its sides were published."""
        if finding.quantity != self.quantity or not {finding.over, finding.under} <= self.values.keys():
            return None
        return self.values[finding.over] / self.values[finding.under]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question to the device.

    Attributes:
        name: What `--study` takes.
        title: The question.
        about: What is compared, one or two sentences.
        source: Paper and section that the claims are from.
        variants: What is clocked, by name.
        findings: The paper's claims.
        published: The paper's figures; empty where none could be verified.
        groups: Names for several variants together, for findings.
    """

    name: str
    title: str
    about: str
    source: str
    variants: Mapping[str, Variant]
    findings: tuple[Finding, ...]
    published: tuple[Published, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def members(self, name: str) -> tuple[str, ...]:
        """The variants behind a name of a finding: those of a group, or the one of that name."""
        return self.groups.get(name, (name,))
