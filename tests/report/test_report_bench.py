"""A bench's page: what it says, and in a real browser every plot drawn, quiet, no wider than the window."""

from pathlib import Path
from typing import Any

import pytest
from report_helpers import open_page

from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.bench import BenchResult, BenchRow
from ridgepoint.deploy.compare import compare
from ridgepoint.deploy.runtimes.session import OperatorTime
from ridgepoint.report.bench import bench_page

OPERATORS = tuple(OperatorTime(f"op <{index}>", 3.0, 0.1 * index) for index in range(9, 0, -1))


def row(model: str, ms: float, *, memory: int | None = 5_000_000, profiled: bool = True) -> BenchRow:
    return BenchRow(
        name=f"{model}, 1 thread",
        model=model,
        latency=MeasuredLatency(
            ms=ms,
            median_ms=1.2 * ms,
            p90_ms=1.5 * ms,
            spread=0.3,
            drift=-0.031,
            slowdown=1.25,
            device="a <cpu>",
            runtime="onnxruntime",
            runtime_version="1.0",
            threads=1,
            precision="float32",
            warmup=10,
            rounds=12,
            runs=120,
            file_bytes=2_500_000,
            peak_memory_bytes=memory,
        ),
        rounds_ms=tuple(ms * (1 + 0.01 * round) for round in range(12)),
        operators=OPERATORS if profiled else None,
    )


def result(*rows: BenchRow) -> BenchResult:
    verdicts = compare({row.name: row.rounds_ms for row in rows})
    return BenchResult(rows=rows, verdicts=tuple(verdicts), protocol="Measured & told.")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "bench.html"
    rows = (
        row("fast", 1.0),
        row("a_network_with_a_rather_long_name_of_its_own.onnx", 2.0, memory=None),
        row("copy", 2.0),
    )
    path.write_text(bench_page(result(*rows)), encoding="utf-8")
    return path


def test_what_was_not_measured_is_said_to_be_unknown_and_names_are_escaped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "a &lt;cpu&gt;" in text and "a <cpu>" not in text
    assert text.count("not known") == 1 and "5.0 MB" in text and "-3 %" in text and "1.25 ×" in text
    assert text.count("these two differ") == 2 and text.count("not distinguishable in this run") == 1


def test_without_a_profile_and_without_a_rival_there_is_nothing_about_them() -> None:
    text = bench_page(result(row("alone", 1.0, profiled=False)))
    assert "Where the time goes" not in text and "Do they differ" not in text and "alone, 1 thread takes 1 ms" in text


@pytest.mark.parametrize("width", [380, 1600])
def test_it_fits_the_window_and_is_quiet(browser: Any, page: Path, width: int) -> None:
    open_page(browser, page.resolve().as_uri(), width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plots = browser.execute_script("return [...document.querySelectorAll('[data-figure]')].map(p => p.clientWidth)")
    assert len(plots) == 3 and all(250 < plot <= width for plot in plots)
    bars = "return document.querySelectorAll('[data-figure=\"operators\"] .barlayer .point').length"
    assert browser.execute_script(bars) == 3 * 6, "five operators and the rest"
    lines = "return document.querySelectorAll('[data-figure=\"rounds\"] .scatterlayer .js-line').length"
    assert browser.execute_script(lines) == 3
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
