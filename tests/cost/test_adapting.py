"""A device of one's own from a few measurements: what is found, what is refused, and that every `--device` takes it."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import run as ridgepoint

from ridgepoint.arch.zoo import load
from ridgepoint.cost.adapting import adapt
from ridgepoint.cost.device import known_devices, load_device
from ridgepoint.cost.measurements import Measurement, read_measurements
from ridgepoint.cost.roofline import predict_latency
from ridgepoint.errors import InputError

NETWORKS = ("mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv2_100", "mobileone_s1", "efficientnet_b0")
NEAR = "pixel6-cpu"


def made(factor: float, noise: float = 0.0) -> tuple[Measurement, ...]:
    """Measurements of a device that is the near one, so many times as slow."""
    chance = np.random.default_rng(3)
    return tuple(
        Measurement(
            network=load(name),
            ms=predict_latency(load(name), NEAR).ms * factor * float(np.exp(noise * chance.standard_normal())),
            line=line,
        )
        for line, name in enumerate(NETWORKS, 2)
    )


def written(path: Path, rows: list[str], titles: str = "network,size,ms") -> Path:
    path.write_text("\n".join([titles, *rows]) + "\n")
    return path


def rows_of(measured: tuple[Measurement, ...]) -> list[str]:
    return [f"{each.network.name},{each.network.input[1]},{each.ms:.6g}" for each in measured]


def test_a_device_that_is_a_known_one_times_a_factor_is_found():
    found = adapt(made(2.5), known_devices(), name="mine", source="mine.csv")
    assert found.near == NEAR and found.factor == pytest.approx(2.5, rel=1e-3)
    other = load("mobilenetv4_conv_small")
    assert predict_latency(other, found.device).ms == pytest.approx(2.5 * predict_latency(other, NEAR).ms, rel=2e-3)
    assert max(abs(each - 1) for each in found.left_out) < 0.01
    assert found.device.fit.left_out == "networks" and found.device.fit.left_out_median_error < 0.01
    low, high = found.device.interval
    assert 0.8 < low < 1 < high < 1.25, "five that agree do not make it certain: the near device's errors count too"


def test_what_large_depthwise_convolutions_take_goes_with_the_factor():
    """None of the measured networks has any; FastViT is still not taken for as fast as its roofline."""
    found, slow = adapt(made(2.5), known_devices(), name="mine", source="mine.csv").device, load("fastvit_s12")
    told, near = predict_latency(slow, found), predict_latency(slow, NEAR)
    assert told.ms == pytest.approx(2.5 * near.ms, rel=2e-3)
    assert told.low_ms / told.ms <= near.low_ms / near.ms and told.high_ms / told.ms >= near.high_ms / near.ms


def test_measurements_that_scatter_make_a_wider_interval():
    exact, rough = (adapt(made(2.5, noise), known_devices(), name="m", source="m.csv") for noise in (0.0, 0.2))
    assert rough.device.interval[1] > exact.device.interval[1] and rough.device.interval[0] < exact.device.interval[0]


def test_a_device_of_ones_own_is_written_and_taken_by_the_commands(tmp_path: Path):
    path = written(tmp_path / "board.csv", [*rows_of(made(3.0)), "# a note", f"{NETWORKS[0]},160,"][:6])
    done = ridgepoint("calibrate", "--from", path, "--out", tmp_path / "board.yaml", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["near"] == NEAR and told["factor"] == pytest.approx(3.0, rel=1e-3) and len(told["measurements"]) == 5
    device = load_device(tmp_path / "board.yaml")
    assert device.name == "board" and device.fit.published == "board.csv"
    cost = json.loads(ridgepoint("cost", NETWORKS[1], "--device", tmp_path / "board.yaml", "--json").stdout)
    assert "board" in json.dumps(cost)
    again = ridgepoint("calibrate", "--from", path, "--out", tmp_path / "board.yaml")
    assert again.returncode == 0 and "Nearest: pixel6-cpu" in again.stdout and "--device" in again.stdout
    card = ridgepoint("devices", tmp_path / "board.yaml")
    assert card.returncode == 0 and "errors by family are not known" in card.stdout


GOOD = rows_of(made(1.0))


@pytest.mark.parametrize(
    ("rows", "titles", "told"),
    [
        (GOOD[:4], "network,size,ms", "has 4 networks. Needed: 5 or more"),
        (GOOD, "network,size,latency_us", "unknown column 'latency_us'"),
        (GOOD, "network,size,seconds", "Times are milliseconds"),
        ([row.split(",", 1)[1] for row in GOOD], "size,ms", "lacks the column network"),
        (GOOD, "network,ms,ms", "names a column twice"),
        ([*GOOD, "mobilnetv3_small_100,224,3"], "network,size,ms", ":7: unknown model"),
        ([*GOOD, "mobileone_s0,224"], "network,size,ms", ":7: has 2 cells"),
        ([*GOOD, "mobileone_s0,224,-3"], "network,size,ms", ":7: ms is '-3'"),
        ([*GOOD, "mobileone_s0,224,nan"], "network,size,ms", ":7: ms is 'nan'"),
        ([*GOOD, "mobileone_s0,224,1e-9"], "network,size,ms", "in milliseconds"),
        ([*GOOD, "mobileone_s0,two,5"], "network,size,ms", ":7: size is 'two'"),
        ([*GOOD, "mobileone_s0,99999,5"], "network,size,ms", ":7: size is '99999'"),
        ([*GOOD, "../other.yaml,224,5"], "network,size,ms", "lies elsewhere"),
        ([*GOOD, "none.yaml,224,5"], "network,size,ms", "none.yaml"),
        ([*GOOD, f"{NETWORKS[0]},224,900"], "network,size,ms", "by line 2"),
        ([*GOOD, "mobileone_s0,224,900"], "network,size,ms", "the other rows make one expect"),
        ([f"{NETWORKS[0]},{size},{size / 64}" for size in range(216, 236, 4)], "network,size,ms", "times the MACs"),
        ([], "network,size,ms", "has 0 networks"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_its_line_and_what_is_needed(rows: list[str], titles: str, told: str, tmp_path: Path):
    path = written(tmp_path / "mine.csv", rows, titles)
    with pytest.raises(InputError) as refused:
        adapt(read_measurements(path), known_devices(), name="mine", source=path.name)
    assert told in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'network,size,ms\n"a', b"\x00" * 99, b"# only\n\n"])
def test_what_is_no_table_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(InputError):
        read_measurements(tmp_path / "mine.csv")


def test_the_same_network_twice_counts_once_and_times_may_have_units(tmp_path: Path):
    path = written(tmp_path / "mine.csv", [*GOOD, f"{NETWORKS[0]},,{made(1.0)[0].ms * 1e3 * 1.1:.6g}us"])
    found = read_measurements(path)
    assert len(found) == 5 and found[0].ms == pytest.approx(1.05 * made(1.0)[0].ms, rel=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "mine.csv", "--threads", "2"), "leave --threads out"),
        (("--out", "x.yaml"), "is of --from"),
        (("--from", "mine.csv", "--out", "x.txt"), "ends in .yaml"),
        (("--from", "absent.csv"), "absent.csv"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: tuple[str, ...], told: str, tmp_path: Path):
    written(tmp_path / "mine.csv", GOOD)
    done = ridgepoint("calibrate", *words, cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr, done.stderr
