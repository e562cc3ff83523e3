"""The page of claims: each is held against something that is there, and what was not run says so."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost

ROOT = Path(__file__).parents[1]
LATER = "zoo"  # the study whose latencies some of what is computed waits for


@pytest.fixture(scope="module")
def claims() -> ModuleType:
    sys.path.insert(0, str(ROOT / "tools"))
    return importlib.import_module("claims")


@pytest.fixture
def nothing(claims: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, empty so far."""
    monkeypatch.setattr(sys.modules["claimed"], "RESULTS", tmp_path)
    return tmp_path


def test_every_claim_is_held_against_what_there_is(claims: ModuleType):
    asked = claims.claims()
    probed = {each["claim"] for study in claims.result("probe_1_thread")["studies"] for each in study["findings"]}
    computed = set(claims.result("claims_computed"))
    if LATER not in (claims.result("claims") or {}):
        computed |= {each.computed for each in asked.claims if "latenc" in each.computed}
    for claim in asked.claims:
        assert sum(map(bool, (claim.study, claim.probe, claim.computed))) <= 1, claim.claim
        assert not claim.probe or claim.probe in probed, claim.claim
        assert not claim.computed or claim.computed in computed, claim.claim
        if claim.study:
            assert {claim.over, claim.under} <= set(asked.studies[claim.study].networks), claim.claim
        if claim.study or claim.computed:
            assert claim.at_least > float("-inf") or claim.at_most < float("inf"), f"cannot fail: {claim.claim}"
    assert len({claim.claim for claim in asked.claims}) == len(asked.claims)
    assert sum(claims.verdict_of(claim) in claims.TESTED for claim in asked.claims) >= 25


def test_every_network_to_clock_loads_and_is_what_it_says(claims: ModuleType):
    studies = claims.claims().studies
    found = {f"{name} {title}": one.load() for name, study in studies.items() for title, one in study.networks.items()}
    large = load("mobilenetv3_large_100")
    assert found["mobilenetv3 V3-Large"] == large
    saved = cost(found["mobilenetv3 V3-Large with the last stage as it was"]).macs - cost(large).macs
    assert saved / 1e6 == pytest.approx(30, abs=5)  # section 5.1: 30 M MAdds
    saved = cost(found["mobilenetv3 V3-Large with 32 filters and ReLU in the stem"]).macs - cost(large).macs
    assert saved / 1e6 == pytest.approx(10, abs=1)  # 10 M MAdds
    assert cost(found["mobilenetv3 V2 0.35"]).params == 1_677_128
    whole, half = found["mobilenetv3_tasks SSDLite with the last stage not halved"], found["mobilenetv3_tasks SSDLite"]
    assert [stage.blocks[-1].out_channels for stage in (whole.stages[-1], half.stages[-1])] == [160, 80]
    assert len(studies["zoo"].members()) > 120 and "efficientnet_b0" in studies["zoo"].members()
    assert "ssdlite320_mobilenet_v3_large" not in studies["zoo"].members()


def test_a_change_for_no_row_is_refused(claims: ModuleType):
    claimed = sys.modules["claimed"]
    wrong = claimed.Clocked("mobilenetv2_100", rows=(claimed.Change({"block": "uib"}, {"out_channels": 8}),))
    with pytest.raises(ValueError, match=r"mobilenetv2_100: no row is as \{'block': 'uib'\}"):
        wrong.load()


def test_what_was_not_run_says_so(claims: ModuleType, nothing: Path):
    _, *rows = claims.rows("MobileNetV3")
    assert {row[3] for row in map(tuple, rows)} == {"not measured", "not tested here"}
    assert all(row[2] == "" for row in map(tuple, rows))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.1, 1.2, "holds"), (0.8, 0.9, "does not hold"), (0.9, 1.2, "cannot be told"), (1.02, 1.02, "does not hold")],
)
def test_the_whole_interval_decides(claims: ModuleType, nothing: Path, low: float, high: float, verdict: str):
    pair = {"over": "V2", "under": "V3-Large", "low": low, "value": low, "high": high, "macs": 1.39, "doubt": None}
    (nothing / "claims.json").write_text(json.dumps({"mobilenetv3": {"pairs": [pair]}}))
    (row,) = (tuple(row) for row in claims.rows("MobileNetV3") if "faster than V2," in next(iter(row)))
    assert row[3] == f"**{verdict}**"
    assert "MACs 1.39" in row[2]


def test_a_time_in_doubt_tells_nothing(claims: ModuleType, nothing: Path):
    pair = {"over": "V2", "under": "V3-Large", "low": 1.1, "value": 1.1, "high": 1.1, "macs": 1.39, "doubt": "busy"}
    (nothing / "claims.json").write_text(json.dumps({"mobilenetv3": {"pairs": [pair]}}))
    (row,) = (tuple(row) for row in claims.rows("MobileNetV3") if "faster than V2," in next(iter(row)))
    assert "in doubt" in row[2] and row[3] == "**cannot be told**"


def test_the_summary_adds_up(claims: ModuleType):
    _, *rows, last = map(tuple, claims.summary())
    columns = list(zip(*rows, strict=True))
    assert [sum(map(int, column)) for column in columns[1:]] == list(map(int, last[1:]))
    assert int(last[-1]) == len(claims.claims().claims)
