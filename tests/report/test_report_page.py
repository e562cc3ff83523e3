"""The page as a file: what it says, also when parts of the run are missing, and that it fetches nothing."""

import base64
import gzip
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from report_helpers import BASELINES, words, write_result

from ridgepoint.errors import ArchitectureError, RunError
from ridgepoint.report.interval import interval
from ridgepoint.report.page import build_report
from ridgepoint.report.points import collect
from ridgepoint.report.result import read_run


class _Loads(HTMLParser):
    """Every address that an element would load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "poster", "data", "action"):
                self.addresses.append(value or "")


def test_the_page_loads_nothing_from_outside(run: Path) -> None:
    page = build_report(run).read_text(encoding="utf-8")
    seen = _Loads()
    seen.feed(page)
    assert len(seen.addresses) == 6  # an empty icon and five mistakes
    assert all(address.startswith("data:") for address in seen.addresses)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL))
    assert "url(" not in styles and "@import" not in styles
    (packed,) = re.findall(r'id="plotly">([^<]*)<', page)  # the library is inside, and once
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()
    assert len(page) - len(packed) < 1_000_000


def test_the_headline_tells_the_numbers_of_the_exported_file(run: Path) -> None:
    text = words(run)
    assert "shapes budget met" in text
    assert "Meets 4 ms: 3.1 ms measured, 78 % of the budget." in text
    assert "96.0 % (92.3 to 98.0) of 200 untouched test images are right." in text
    assert "always the most frequent class: 25.0 %" in text
    for name in BASELINES:
        assert name in text
    assert "ridgepoint fit shapes/ --latency 4ms --seed 3 --evaluations 30" in text
    assert "mobilenetv4_conv, about 10⁹ networks" in text
    assert "1 file could not be read" in text and "shapes/circle/broken.png: truncated" in text


def test_a_budget_that_is_not_met_is_said_first(run: Path) -> None:
    write_result(run, met=False, budget_ms=2.0)
    text = words(run)
    assert "budget missed" in text and "Misses 2 ms: the nearest network takes 3.1 ms measured" in text
    assert "Meets" not in text


def test_the_times_add_up_to_the_whole_and_every_training_tells_its_length(run: Path) -> None:
    text = words(run)
    assert "start, and between these 7 s whole run 8 min 48 s" in text
    assert text.count("12 epochs 120 steps, 40 s") == 5
    assert text.count("64 px, ") >= 5


def test_a_zoo_network_that_wins_is_shown_once(run: Path) -> None:
    document = json.loads((run / "result.json").read_text())
    best = document["baselines"][1]
    network = {**document["network"], "name": best["name"]}
    write_result(run, network=network, latency=best["latency"], accuracy=best["accuracy"])
    table = words(run).split("Chosen against the others")[1].split("Accuracies are those")[0]
    assert table.count(best["name"]) == 1 and "mobileone_s0 chosen, zoo" in table
    assert len(collect(read_run(run)).every) == 5


def test_names_are_shown_as_they_are(run: Path) -> None:
    write_result(run, name="</script><img src=x onerror=alert(1)>")
    document = json.loads((run / "evaluation.json").read_text())
    document["classes"][0] = "</script><img src=x>"
    (run / "evaluation.json").write_text(json.dumps(document))
    page = build_report(run).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert page.count("</script>") == 9  # six figures, the library, what unpacks it, the page's own
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("study.db", "This folder holds no study of candidates."),
        ("trainings", "No training curves: this folder holds no metrics.jsonl of a full training."),
        ("evaluation.json", "No per-class results: this folder holds no evaluation.json."),
        ("mistakes", "Recorded mistakes without an image in this folder: 5."),
    ],
)
def test_what_is_missing_is_said(run: Path, missing: str, sentence: str) -> None:
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert sentence in words(run)


def test_optional_parts_of_the_result_may_be_absent(run: Path) -> None:
    document = json.loads((run / "result.json").read_text())
    for key in (
        "baselines",
        "finalists",
        "search",
        "parity",
        "phases",
        "reproduce",
        "warnings",
        "versions",
        "wall_s",
        "bound",
    ):
        del document[key]
    document["accuracy"]["artefact"] = None
    (run / "result.json").write_text(json.dumps(document))
    text = words(run)
    assert "No other network was trained to the end in this run" in text
    assert "test accuracy, exported file not known" in text
    assert "No search was recorded." in text and "No commands were recorded." in text
    assert " 0.0 % of the test images" not in text


def test_a_network_without_mistakes_says_so(run: Path) -> None:
    document = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps({**document, "mistakes": [], "confusion": []}))
    text = words(run)
    assert "There are none: no mistake was recorded on the test images." in text
    assert "No confusion matrix was recorded." in text


def test_an_image_outside_the_run_folder_is_not_read(run: Path) -> None:
    secret = run.parent / "secret.png"
    secret.write_bytes(b"secret")
    document = json.loads((run / "evaluation.json").read_text())
    document["mistakes"][0]["image"] = "../secret.png"
    (run / "evaluation.json").write_text(json.dumps(document))
    assert "Recorded mistakes without an image in this folder: 1." in words(run)


@pytest.mark.parametrize("missing", ["result.json", "architecture.yaml"])
def test_a_folder_that_is_no_finished_run_is_refused(run: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(RunError, match=f"holds no {missing}"):
        build_report(run)
    assert not (run / "report.html").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such folder"):
        build_report(tmp_path / "nothing")


def test_a_wrong_result_names_the_key(run: Path) -> None:
    write_result(run, budget_ms="fast")
    with pytest.raises(RunError, match=r"result\.json: is damaged.*budget_ms"):
        build_report(run)
    (run / "result.json").write_text("{")
    with pytest.raises(RunError, match=r"result\.json: is damaged"):
        build_report(run)


def test_a_broken_architecture_is_refused(run: Path) -> None:
    (run / "architecture.yaml").write_text("name: x\n")
    with pytest.raises(ArchitectureError):
        build_report(run)


def test_the_report_does_not_change_the_run(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    build_report(run)
    assert set(run.rglob("*.*")) >= set(before)
    assert {path: path.read_bytes() for path in before} == before


def test_interval_against_a_published_example() -> None:
    # Newcombe, Stat. Med. 17 (1998), Table I: 81 of 263, Wilson without continuity correction: 0.2553 to 0.3662.
    low, high = interval(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert interval(0.0, 20)[0] == 0.0 and interval(1.0, 20)[1] == 1.0
