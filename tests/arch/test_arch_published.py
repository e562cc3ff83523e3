"""Published results: every row has its source and a network of the zoo; the models verb shows them."""

import json
import subprocess
import sys

import pytest

from ridgepoint.arch.published import RESULTS, _accuracies, _latencies, published_accuracies, published_latencies
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.published import published_top1


def test_every_row_is_of_a_zoo_network_and_has_a_source():
    assert len(_accuracies()) > 60
    assert len(_latencies()) > 70
    for row in (*_accuracies(), *_latencies()):
        assert row.network in list_models()
        assert row.source
        assert row.kind == "published"
    assert all(50 < row.top1 < 90 for row in _accuracies())
    assert all(row.ms > 0 for row in _latencies())


def test_no_row_is_there_twice():
    for name in ("accuracy.csv", "latency.csv"):
        lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
        assert len(set(lines)) == len(lines)


def test_figures_read_off_the_tables():
    small = {
        (row.source.split(",")[0], row.training): row.top1 for row in published_accuracies("mobilenetv4_conv_small")
    }
    assert small["MobileNetV4", "ImageNet-1k only"] == 73.8
    assert small["MobileNetV4", "distilled with JFT data"] == 75.5
    pixels = {row.device: row.ms for row in published_latencies("mobilenetv3_large_075") if row.precision == "fp32"}
    assert pixels == {"Pixel 1, one big core": 39, "Pixel 2, one big core": 46, "Pixel 3, one big core": 40}
    assert published_latencies("mobilenetv4_conv_small_035") == ()


def test_the_headline_figure_is_one_of_the_published_rows():
    for name, (top1, source) in published_top1().items():
        known = {row.top1 for row in published_accuracies(name) if row.size == load(name).input[1]}
        # Large's re-trained figure stands in a text, and Small's is that of the released weights.
        assert top1 in known or name in ("mobilenetv3_large_100", "mobilenetv3_small_100"), (name, source)


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "ridgepoint", *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def every_model():
    return json.loads(run("models", "--json").stdout)["models"]


def test_the_models_verb_prints_counts_and_published_accuracy(every_model):
    rows = {row["name"]: row for row in every_model}
    assert list(rows) == list_models()
    row = rows["mobileone_s0"]
    assert (row["params"], row["deploy_params"]) == (5_293_272, 2_078_504)
    assert row["published_top1"][0] == 71.4
    assert {latency["device"] for latency in row["published_latencies"]} >= {"iPhone 12", "Xeon Gold 5118"}
    assert rows["mobilenetv4_hybrid_large_075"]["published_top1"] is None
    out = run("models", "mobilenetv4_conv_*").stdout
    assert "73.8" in out
    assert "arXiv:2404.10518" in out
    assert "5 models." in out
    assert "not measured here" in out


def test_a_glob_that_matches_nothing_says_what_there_is():
    done = run("models", "mobilnetv4*")
    assert done.returncode == 2
    assert "no model of the zoo matches 'mobilnetv4*'" in done.stderr
    assert "mobilenetv4" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_models_verb_needs_no_torch():
    script = "import sys; from ridgepoint.cli.models import models; models('*', True); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60).returncode == 0
