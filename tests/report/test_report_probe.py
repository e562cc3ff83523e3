"""A probe's page in a real browser: every plot drawn, quiet, no wider than the window."""

from pathlib import Path
from typing import Any

import pytest
from chromium import set_width

from ridgepoint.probe.result import (
    FindingResult,
    ProbeResult,
    PublishedRatio,
    PublishedResult,
    StudyResult,
    VariantResult,
)
from ridgepoint.report.probe import probe_page


def variant(name: str, ms: float) -> VariantResult:
    return VariantResult(
        name=name, ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, macs=round(1e6 * ms), params=1000, operators={"Conv": 3}
    )


def finding(claim: str, quantity: Any = "time") -> FindingResult:
    return FindingResult(
        claim=claim,
        over="slow",
        under="fast",
        quantity=quantity,
        at_least=1.03,
        at_most=None,
        ratio=2.0,
        low=1.9,
        high=2.1,
        verdict="holds",
        same_graph=False,
        ours=False,
        published=(PublishedRatio("a <phone>", "paper", 3.0),),
    )


def study(name: str, findings: tuple[FindingResult, ...], groups: dict[str, tuple[str, ...]]) -> StudyResult:
    return StudyResult(
        name=name,
        title=f"What of {name}?",
        about="Two variants & their difference.",
        source="paper",
        variants=(variant("slow", 2.0), variant("fast", 1.0)),
        groups=groups,
        findings=findings,
        published=(PublishedResult("a <phone>", "paper", "ms", {"slow": 3.0, "fast": 1.0}),),
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bars = study("bars", (finding("Slow is slow."), finding("A MAC of it, too.", "time per MAC")), {})
    curves = study("curves", (finding("It does more.", "MACs in the same time"),), {"slow": ("slow", "fast")})
    found = ProbeResult(
        device="a device",
        runtime="onnxruntime",
        runtime_version="1",
        threads=1,
        precision="float32",
        loads=2,
        rounds=3,
        seconds=1.0,
        studies=(bars, curves),
    )
    path = tmp_path_factory.mktemp("probe") / "probe.html"
    path.write_text(probe_page(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [380, 1280])
def test_it_is_drawn_and_quiet_and_fits_the_window(browser: Any, page: Path, width: int) -> None:
    set_width(browser, width)
    browser.get_log("browser")
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    marks = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure]')].map(place => [place.dataset.figure,"
        "place.querySelectorAll('path.point, .bars .point').length])"
    )
    assert dict(marks) == {"bars-times": 2, "bars-ratios": 4, "curves-times": 2, "curves-ratios": 2}
    pills = browser.execute_script(
        "return [...document.querySelectorAll('.findings .pill')].map(pill => pill.innerText)"
    )
    assert pills == ["holds"] * 3
    assert browser.get_log("browser") == []
