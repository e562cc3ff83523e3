"""Published results: every row has its source and a network of the zoo; the models verb shows them."""

import json
import re
import subprocess
import sys

import pytest
from cli_helpers import call

from ridgepoint.arch.published import RESULTS, published_latencies
from ridgepoint.arch.zoo import list_models, load, published, published_top1
from ridgepoint.errors import ArchitectureError


def test_every_row_is_of_a_zoo_network_and_has_a_source():
    latencies = [row for name in list_models() for row in published_latencies(name)]
    assert len(latencies) + 1 == len((RESULTS / "latency.csv").read_text(encoding="utf-8").splitlines())
    for row in latencies:
        assert row.source and row.kind == "published" and row.ms > 0
    scores = [row for name in list_models() for row in published(name).top1]
    assert len(scores) > 60
    assert all(50 < row.value < 90 and row.source and row.training for row in scores)


def test_no_row_is_there_twice():
    lines = (RESULTS / "latency.csv").read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == len(lines)
    for name in list_models():
        assert len(set(published(name).top1)) == len(published(name).top1)


def test_a_file_of_one_s_own_may_say_what_is_published_of_it(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nbase: mobilenetv1_100\npublished: {params: 4231976, rival: true}\n")
    assert load(own).digest == load("mobilenetv1_100").digest
    for wrong, told in (("{prams: 1}", "published: unknown key 'prams'; did you mean 'params'"),
                        ("{top1: [{value: 101, size: 1, training: a, source: b}]}", "published.top1.0.value: is 101"),
                        ("37", "Allowed keys: params, macs,")):  # fmt: skip
        own.write_text(f"name: own\nbase: mobilenetv1_100\npublished: {wrong}\n")
        with pytest.raises(ArchitectureError, match=re.escape(told)):
            load(own)


def test_figures_read_off_the_tables():
    small = {(row.source.split(",")[0], row.training): row.value for row in published("mobilenetv4_conv_small").top1}
    assert small["MobileNetV4", "ImageNet-1k only"] == 73.8
    assert small["MobileNetV4", "distilled with JFT data"] == 75.5
    pixels = {row.device: row.ms for row in published_latencies("mobilenetv3_large_075") if row.precision == "float32"}
    assert pixels == {"Pixel 1, one big core": 39, "Pixel 2, one big core": 46, "Pixel 3, one big core": 40}
    assert published_latencies("mobilenetv4_conv_small_035") == ()


def test_the_headline_is_the_first_row_at_the_network_s_own_size():
    paper = "MobileNetV4, arXiv:2404.10518 v2, Table 6"
    for name, value, source in (
        ("mobilenetv4_conv_small", 73.8, paper),
        ("mobilenetv1_100", 74.0, paper),
        ("mobilenetv3_large_100", 75.5, "MobileNetV4, arXiv:2404.10518 v2, section 9 (re-trained)"),
        ("efficientformer_l3", 82.4, "EfficientFormer, arXiv:2206.01191, Table 1 (distilled)"),
        ("tf_efficientnet_lite4", 81.54, "timm, results-imagenet.csv at 4e5207c7 (2025-10-30)"),
    ):
        row = published_top1(name)
        assert row and (row.value, row.source, row.size) == (value, source, load(name).input[1])
    assert published_top1("mobilenetv4_hybrid_large_075") is None
    assert published_top1("no-such-network") is None


@pytest.fixture(scope="module")
def every_model():
    return json.loads(call("models", "--json").stdout)["models"]


def test_the_models_verb_prints_counts_and_published_accuracy(every_model):
    rows = {row["name"]: row for row in every_model}
    assert list(rows) == list_models()
    row = rows["mobileone_s0"]
    assert (row["params"], row["deploy_params"]) == (5_293_272, 2_078_504)
    assert row["published_top1"][0] == 71.4
    assert {latency["device"] for latency in row["published_latencies"]} >= {"iPhone 12", "Xeon Gold 5118"}
    assert rows["mobilenetv4_hybrid_large_075"]["published_top1"] is None
    out = call("models", "mobilenetv4_conv_*").stdout
    assert "73.8" in out
    assert "arXiv:2404.10518" in out
    assert "5 models." in out
    assert "not measured here" in out


def test_a_glob_that_matches_nothing_says_what_there_is():
    done = call("models", "mobilnetv4*")
    assert done.returncode == 2
    assert "no model of the zoo matches 'mobilnetv4*'" in done.stderr
    assert "mobilenetv4" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_models_verb_needs_no_torch():
    script = "import sys; from ridgepoint.cli.models import models; models('*', True); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60).returncode == 0
