"""The verbs cost, devices and sweep: what they print, and how they fail."""

import json
import subprocess
import sys

import pytest
import typer
from cost_helpers import stored
from platformdirs import user_cache_path
from typer.testing import CliRunner

from ridgepoint.arch.zoo import load
from ridgepoint.cli import cost as cost_verb
from ridgepoint.cli import devices as devices_verb
from ridgepoint.cli import sweep as sweep_verb
from ridgepoint.cost.calibrating import calibrate
from ridgepoint.cost.count import CONVENTION, cost
from ridgepoint.cost.device import Device
from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.precision import INT8
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.samples import sample_network
from ridgepoint.cost.table import Conditions, LatencyTable, Sample
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.errors import RidgepointError

app = typer.Typer(rich_markup_mode=None)
app.command("cost")(cost_verb.cost)
app.command("devices")(devices_verb.devices)
app.command("sweep")(sweep_verb.sweep)


def run(*words, code=0):
    done = CliRunner().invoke(app, words)
    if code == 0:
        assert done.exit_code == 0, done.output
        return done.output
    assert isinstance(done.exception, RidgepointError), done.output
    assert done.exception.exit_code == code
    return str(done.exception)


def test_no_torch_and_soon_done():
    program = "import sys; from ridgepoint.cli import cost; cost.cost(['mobilenetv4*'], device='pixel6-cpu', "
    program += "layers=True, json_output=True); sys.exit(70 if 'torch' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["models"]) == 9


def test_cost_as_json():
    document = json.loads(run("cost", "mobilenetv4_conv_small", "mobilenetv2*0", "--json"))
    names = [row["name"] for row in document["models"]]
    assert names == ["mobilenetv4_conv_small", "mobilenetv2_050", "mobilenetv2_100", "mobilenetv2_140"]
    row, ours = document["models"][0], cost(load("mobilenetv4_conv_small"), form="deploy", fused=True)
    assert document["convention"] == CONVENTION
    assert (row["macs"], row["params"]) == (ours.macs, ours.params)
    assert row["trained"] == {"macs": 186005568, "params": 3774024}
    assert row["precision"] == "float32"
    assert "layers" not in row


def test_cost_on_a_device():
    words = ("cost", "mobilenetv4_conv_small", "--device", "pixel6-cpu", "--layers", "--blocks", "--json")
    row = json.loads(run(*words))["models"][0]
    ours = cost(load("mobilenetv4_conv_small"), form="deploy", fused=True)
    assert row["latency"]["kind"] == "predicted"
    assert row["precision"] == "int8"
    assert row["weight_bytes"] == ours.weight_bytes(INT8.weight, INT8.vector)
    assert sum(layer["share"] for layer in row["layers"]) == pytest.approx(1)
    assert sum(block["macs"] for block in row["blocks"]) == row["macs"]


def test_cost_in_words():
    told = run("cost", "mobilenetv4_conv_small", "--device", "pixel8-edgetpu", "--layers")
    assert CONVENTION in told
    assert "predicted, not measured" in told
    assert "stages.2.1.body.middle_depthwise.conv" in told  # a pipe is wide: nothing is cut off
    assert "…" not in told


def test_without_a_known_bandwidth_nothing_is_called_memory_bound():
    told = run("cost", "mobilenetv4_conv_small", "--device", "galaxy-s24-npu", "--layers")
    assert "memory-bound" not in told
    assert "median error 12% on families left out of the fit" in told.replace("\n", " ")
    row = json.loads(run("cost", "mobilenetv4_conv_small", "--device", "galaxy-s24-npu", "--json"))["models"][0]
    assert "memory_bound_share" not in row
    assert row["latency"]["low_ms"] < row["latency"]["ms"] < row["latency"]["high_ms"]


def test_cost_at_another_input_size():
    row = json.loads(run("cost", "mobilenetv1_100", "--input", "160", "--json"))["models"][0]
    assert row["input"] == [3, 160, 160]
    assert row["macs"] == cost(load("mobilenetv1_100").at(height=160)).macs


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cost", "mobilenetv4_conv_smal"), "did you mean 'mobilenetv4_conv_small'"),
        (("cost", "nothing*"), "'nothing*' matches no model"),
        (("cost", "mobilenetv1_100", "--device", "pixel6"), "did you mean 'pixel6-cpu'"),
        (("cost", "mobilenetv1_100", "--input", "0"), "--input is 0. Allowed"),
        (("cost", "mobilenetv1_100", "--form", "shipped"), "--form is 'shipped'; Allowed: deploy, train"),
        (("cost", "mobilenetv1_100", "--precision", "int4"), "unknown precision 'int4'"),
        (("sweep", "mobilenetv1_100", "--html", "/nowhere/page.html"), "there is no folder '/nowhere'"),
        (("sweep", "mobilenetv1_100", "--fused", "everything"), "unknown way of fusing 'everything'"),
        (("sweep", "mobilenetv1_100", "--accuracy", "mine"), "unknown accuracy 'mine'. Allowed: first, labels, best"),
        (("sweep", "mobilenetv1_100", "--family", "mobilenetv9"), "--family is 'mobilenetv9', which none of"),
        (("sweep", "mobilenetv1_100", "--most-macs", "many"), "--most-macs is 'many'. Allowed: a number above 0"),
        (("sweep", "mobilenetv1_100", "--most-params", "-1M"), "--most-params is '-1M'. Allowed: a number above 0"),
        (("sweep", "mobilenetv1_100", "--most-macs", "1M"), "none of the 1 networks is left by"),
    ],
)
def test_wrong_words(words, told):
    assert told in run(*words, code=2)


def test_a_device_with_a_ridge_point_alone(tmp_path):
    path = tmp_path / "relative.yaml"
    path.write_text("name: relative\nsource: invented\nridge_point: 100\n")
    told = run("cost", "mobilenetv1_100", "--device", str(path))
    assert "relative has a ridge point only" in told
    row = json.loads(run("cost", "mobilenetv1_100", "--device", str(path), "--json"))["models"][0]
    assert row["latency"] is None
    assert row["time_macs"] > 0


def test_cost_on_host_is_tabled(monkeypatch, tmp_path):
    """A calibrated machine: its tabled latency with an interval, its roofline beside it, and every pass bounded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    conditions = Conditions(
        device=cpu_name(), runtime="onnxruntime", runtime_version=find_runtime("onnxruntime").version, threads=2
    )
    board = Device(name="board", source="a law", peak_macs_per_s=1e9, bandwidth_bytes_per_s=1e9, precision="float32")
    samples = [sample_network(number) for number in range(120)]
    probed = [
        Sample(network=network, at=stored(1.0).at, ms=(ms := Roofline(board).latency(network).ms), again_ms=ms)
        for network in samples
    ]
    path = user_cache_path("ridgepoint") / "tables" / conditions.file_name()
    path.parent.mkdir(parents=True)
    LatencyTable(conditions=conditions, overhead=stored(0.01), calibration=calibrate(probed, conditions)).save(
        path, doubted=False, calibrating=True
    )

    row = json.loads(run("cost", "mobilenetv1_100", "--device", "host", "--threads", "2", "--json"))["models"][0]
    latency, true = row["latency"], Roofline(board).latency(load("mobilenetv1_100")).ms
    assert (latency["kind"], latency["threads"], latency["device"]) == ("tabled", 2, cpu_name())
    assert latency["ms"] == pytest.approx(true, rel=0.15)
    assert latency["low_ms"] <= latency["ms"] * 1.05 and latency["high_ms"] >= latency["ms"] * 0.95
    assert len(latency["interpolated"]) == latency["rows"] == 15
    assert row["predicted"]["kind"] == "predicted" and row["predicted"]["device"] == "host"
    assert row["predicted"]["ms"] == pytest.approx(true, rel=0.05)
    told = run("cost", "mobilenetv1_100", "--device", "host", "--threads", "2")
    assert "the sum of its 15 blocks, of which 15 interpolated" in told
    assert "Nine of ten searched networks" in told and "By the roofline alone mobilenetv1_100 takes" in told


def test_devices():
    document = json.loads(run("devices", "--json"))
    device = next(each for each in document["devices"] if each["name"] == "pixel4-dsp")
    assert device["ridge_point"] == 347.3
    assert device["fit"]["networks"] == 13
    told = run("devices")
    assert "never measured" in told
    assert "ridgepoint calibrate" in told


def test_sweep():
    document = json.loads(run("sweep", "mobilenetv1_100", "mobilenetv4_conv_small", "mobilenetv3_small_050", "--json"))
    v1, v4, scaled = document["networks"]
    assert (len(document["ridge_points"]), len(v1["times_macs"])) == (501, 501)
    assert v4["front_ranges"] == [[0, 500]]
    assert scaled["top1"] is None
    assert scaled["front_share"] is None
    told = run("sweep", "mobilenetv1_100", "mobilenetv4_conv_small")
    assert "100%  0 to 500" in told


def swept(*arguments):
    return {each["name"]: each for each in json.loads(run("sweep", *arguments, "--json"))["networks"]}


def test_a_sweep_of_chosen_networks():
    small = swept("*", "--family", "mobilenetv3", "--family", "mobilenetv4", "--most-macs", "60M", "--int8-only")
    assert set(small) == {
        "mobilenetv3_small_minimal_100",
        "mobilenetv4_conv_small_035",
        "tf_mobilenetv3_small_minimal_100",
    }
    assert {each["family"] for each in small.values()} == {"mobilenetv3", "mobilenetv4"}
    tiny = swept("mobilenetv2*", "--most-params", "2M")
    assert set(tiny) == {"mobilenetv2_050"} and tiny["mobilenetv2_050"]["params"] < 2e6
    open_ones = swept("mobileone_s0", "repvgg_a0", "--open-weights")
    assert set(open_ones) == {"repvgg_a0"} and open_ones["repvgg_a0"]["licences"] == ["MIT"]
    taught = swept("fastvit_t8", "--accuracy", "labels")["fastvit_t8"]
    assert (taught["top1"], taught["training"], taught["in_float"]) == (76.2, "ImageNet-1k only", ["gelu", "sigmoid"])
