"""`ridgepoint probe` on this machine's clock, and the page that it writes."""

import json

import msgspec
import pytest
from cli_helpers import call

from ridgepoint.probe.result import FindingResult, ProbeResult, PublishedRatio
from ridgepoint.probe.studies import STUDIES


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProbeResult, str]:
    page = tmp_path_factory.mktemp("probe") / "probe.html"
    done = call("probe", "--study", "norms", "--rounds", 3, "--busy", "--html", page, "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.convert(json.loads(done.stdout), ProbeResult, strict=False), page.read_text(encoding="utf-8")


def test_the_document_holds_conditions_variants_and_findings(probed: tuple[ProbeResult, str]) -> None:
    found, _ = probed
    assert (found.runtime, found.threads, found.rounds, found.loads) == ("onnxruntime", 1, 3, 3)
    assert [study.name for study in found.studies] == ["norms"]
    for study in found.studies:
        assert [variant.name for variant in study.variants] == list(STUDIES[study.name].variants)
        assert all(0 < each.low_ms <= each.ms <= each.high_ms for each in study.variants)
        assert all(each.macs > 0 and each.params > 0 for each in study.variants)
        assert [finding.claim for finding in study.findings] == [each.claim for each in STUDIES[study.name].findings]
        assert all(0 < each.low <= each.ratio <= each.high for each in study.findings)


def test_a_graph_that_the_runtime_makes_of_two_variants_is_told(probed: tuple[ProbeResult, str]) -> None:
    norms = probed[0].studies[0]
    assert {each.name: each.same_graph_as for each in norms.variants} == {
        "Conv-BN": None,
        "unfolded Conv-BN": "Conv-BN",
        "LN-Linear": None,
        "Linear": None,
    }
    assert [each.same_graph for each in norms.findings] == [False, False, True]
    assert "make the same graph of both" in norms.findings[2].sentence


def test_the_page_shows_every_sentence_and_verdict_and_fetches_nothing(probed: tuple[ProbeResult, str]) -> None:
    found, page = probed
    for study in found.studies:
        assert study.title in page
        for finding in study.findings:
            assert finding.claim.replace("'", "&#39;") in page and finding.verdict in page
            assert finding.sentence.replace("'", "&#39;") in page
    own = page[: page.index('<script type="application/json"')]
    assert "http://" not in own and "https://" not in own and "src=" not in own


def test_a_sentence_by_hand() -> None:
    finding = FindingResult(
        claim="SiLU is slower than ReLU.",
        over="SiLU",
        under="ReLU",
        quantity="time",
        at_least=1.03,
        at_most=None,
        ratio=1.234,
        low=1.2,
        high=1.256,
        verdict="holds",
        same_graph=False,
        ours=False,
        published=(PublishedRatio("iPhone 12", "MobileOne, Table 2", 1.66),),
    )
    assert finding.sentence == (
        "Here SiLU takes 1.23 times as long as ReLU (1.20 to 1.26); in the paper 1.66 (iPhone 12)."
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--study", "activation"), "unknown study 'activation'; did you mean 'activations'?"),
        (("--html", "/nowhere/page.html"), "there is no folder '/nowhere'"),
        (("--runtime", "onnx"), "unknown runtime 'onnx'; did you mean 'onnxruntime'?"),
    ],
)
def test_refusals_come_before_the_work(words: tuple[str, ...], told: str) -> None:
    done = call("probe", *words)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr


def test_help_names_every_study() -> None:
    told = " ".join(call("probe", "--help").stdout.split())
    assert ", ".join(STUDIES) in told
