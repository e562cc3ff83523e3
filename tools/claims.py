"""The rows of docs/claims.md: what papers claim, what was found here, and whether it holds."""

import math
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from claimed import Claim, claims, result

from ridgepoint.probe.finding import Finding

Verdict = Literal["holds", "does not hold", "cannot be told", "not measured", "not tested here"]
PROBE, CLOCKED, COMPUTED = "probe_1_thread", "claims", "claims_computed"
TESTED: tuple[Verdict, ...] = ("holds", "does not hold", "cannot be told")
HEAD = ("claim", "the paper", "here", "holds?", "why")


@dataclass(frozen=True)
class Evidence:
    """What was found: an interval, the range in which the claim holds, and words of it."""

    value: float
    low: float
    high: float
    at_least: float
    at_most: float
    words: str
    doubt: bool = False

    def verdict(self) -> Verdict:
        """By the whole interval; what is in doubt tells nothing."""
        if self.doubt:
            return "cannot be told"
        found = Finding(claim="", over="", under="", at_least=self.at_least, at_most=self.at_most)
        told = found.judge(self.low, self.high)
        return "cannot be told" if told == "not distinguishable in this run" else told


def rows(paper: str) -> list[Iterable[str]]:
    """The table of one paper."""
    return [HEAD, *(_row(claim) for claim in claims().claims if claim.paper == paper)]


def summary() -> list[Iterable[str]]:
    """How many claims of every paper fared how."""
    found = [(claim.paper, verdict_of(claim)) for claim in claims().claims]
    count = Counter(found)
    papers = list(dict.fromkeys(paper for paper, _ in found))
    verdicts: tuple[Verdict, ...] = (*TESTED, "not measured", "not tested here")
    lines: list[Iterable[str]] = [("paper", "holds", "does not", "unclear", "to measure", "not tested", "all")]
    for paper in papers:
        numbers = [count[paper, verdict] for verdict in verdicts]
        lines.append((paper, *map(str, numbers), str(sum(numbers))))
    sums = [sum(count[paper, verdict] for paper in papers) for verdict in verdicts]
    return [*lines, ("all", *map(str, sums), str(sum(sums)))]


def verdict_of(claim: Claim) -> Verdict:
    """How a claim fared."""
    if not (claim.study or claim.probe or claim.computed):
        return "not tested here"
    found = evidence(claim)
    return found.verdict() if found else "not measured"


def evidence(claim: Claim) -> Evidence | None:
    """What was found of a claim; None while its benchmark was not run."""
    if claim.probe:
        return _probed(claim)
    return _clocked(claim) if claim.study else _computed(claim)


def _row(claim: Claim) -> tuple[str, ...]:
    verdict, found = verdict_of(claim), evidence(claim)
    why = f"{claim.why}; {claim.otherwise}" if claim.otherwise and verdict == "does not hold" else claim.why
    paper = f"{claim.figure}; {claim.source}"
    return claim.claim, paper, found.words if found else "", f"**{verdict}**" if verdict in TESTED else verdict, why


def _probed(claim: Claim) -> Evidence | None:
    findings = [each for study in (result(PROBE) or {"studies": []})["studies"] for each in study["findings"]]
    found = [each for each in findings if each["claim"] == claim.probe]
    if not found:
        return None
    (one,) = found
    bounds = (one["at_least"] or 0.0, one["at_most"] or math.inf)
    quantity = "" if one["quantity"] == "time" else f" ({one['quantity']})"
    return Evidence(one["ratio"], one["low"], one["high"], *bounds, interval(one, one["ratio"]) + quantity)


def _clocked(claim: Claim) -> Evidence | None:
    study = (result(CLOCKED) or {}).get(claim.study)
    pairs = study["pairs"] if study else []
    found = [each for each in pairs if (each["over"], each["under"]) == (claim.over, claim.under)]
    if not found:
        return None
    (one,) = found
    doubt = ", in doubt: the machine was busy" if one["doubt"] else ""
    words = f"{interval(one, one['value'])}; MACs {one['macs']:.2f}{doubt}"
    return Evidence(
        one["value"], one["low"], one["high"], claim.at_least, claim.at_most, words, doubt=bool(one["doubt"])
    )


def _computed(claim: Claim) -> Evidence | None:
    one = (result(COMPUTED) or {}).get(claim.computed)
    if one is None:
        return None
    words = f"{interval(one, one['value'])} ({one['spread']})"
    return Evidence(one["value"], one["low"], one["high"], claim.at_least, claim.at_most, words)


def interval(ends: dict[str, Any], value: float) -> str:
    """A value with the ends of its interval, where it has any extent."""
    if ends["low"] == ends["high"]:
        return f"{value:.3g}"
    return f"{value:.2f} ({ends['low']:.2f} to {ends['high']:.2f})"
