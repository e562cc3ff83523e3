"""Phones without Python, with stand-ins for adb and benchmark_model: times, their marks, and every failure."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from adb_device import COOL, SERIAL, AdbDevice, adb_device
from cli_helpers import call, refused
from processes import send

from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places import benchmark_model, thermal
from ridgepoint.deploy.places.find import find_device
from ridgepoint.deploy.places.phone import PROGRAM, Phone
from ridgepoint.errors import InputError, UnreachableError

HOT = COOL.replace("Thermal Status: 0", "Thermal Status: 2")
SHELLS = ("sh", "bash")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbDevice]:
    with adb_device(tmp_path_factory.mktemp("adb")) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv(PROGRAM, str(found.benchmark_model()))
        yield found


@pytest.fixture
def phone(device: AdbDevice) -> Iterator[Phone]:
    found = find_device(device.bare)
    assert isinstance(found, Phone)
    yield found
    found.close()
    device.wait_until_left()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files as the stand-in reads them: what a run takes, and for how long it is asleep."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, us, asleep_s in (("fast", 4000, 0), ("slow", 6000, 0), ("endless", 4000, 30)):
        found[name] = folder / f"{name} 'file'.tflite"
        found[name].write_text(f"TFL3\nus={us}\nsleep={asleep_s}\n")
    return found


def test_files_are_clocked_side_by_side_and_told_as_means(device: AdbDevice, files: dict[str, Path]):
    page = device.folder / "bench.html"
    words = ("--device", device.bare, "--rounds", "8", "--json", "--html", page)
    done = call("bench", files["slow"], files["fast"], *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    fast, slow = (row["latency"] for row in told["rows"])
    assert [row["model"] for row in told["rows"]] == [str(files["fast"]), str(files["slow"])]
    assert fast["ms"] == pytest.approx(4.0, rel=0.01) and slow["ms"] == pytest.approx(6.0, rel=0.01)
    assert told["verdicts"][0]["ratio"] == pytest.approx(4 / 6, rel=0.02) and told["verdicts"][0]["differ"]
    for latency in (fast, slow):
        assert all(latency[what] is None for what in ("slowdown", "undisturbed", "load")), "no references tell"
        assert latency["means"] is True and latency["checked"] is False and latency["doubt"] is None
        assert (latency["device"], latency["place"]) == ("Google Pixel 6", device.bare)
        assert (latency["temperature_c"], latency["frequency_mhz"], latency["governor"]) == (44.25, 1401, "sched_pixel")
        assert latency["runtime_version"].startswith("benchmark_model-") and latency["at"] and latency["rounds"] == 8
    assert fast["runs"] == 8 * 50 and slow["runs"] == 8 * 33
    assert "not known" in page.read_text()
    assert "Means, not runs" in told["protocol"] and "not checked on the device" in told["protocol"]
    assert set(device.pinned()) == {"1", "c"}, "after a look whether there is taskset, on the two large cores"
    find_device(device.bare).close()
    device.wait_until_left()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_there_keeps_a_folder_and_leaves_nothing(device: AdbDevice, files: dict[str, Path], shell, monkeypatch):
    monkeypatch.setenv("ADB_PROGRAM_SHELL", f"/bin/{shell}")
    phone = find_device(device.bare)
    assert isinstance(phone, Phone)
    session = phone.open(files["fast"], runtime="litert")
    (folder,) = device.temporary.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.name for each in folder.glob("*model*")} == {"benchmark_model"} and len(
        list(folder.glob("*.tflite"))
    ) == 1
    del session
    phone.heat()
    assert not list(folder.glob("*.tflite")), "a file that nobody has any more goes"
    phone.close()
    device.wait_until_left()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("victim", ["client", "shell"])
def test_a_phone_that_goes_is_told_and_nothing_is_left(
    device: AdbDevice, files: dict[str, Path], shell: str, victim: str, monkeypatch
):
    monkeypatch.setenv("ADB_PROGRAM_SHELL", f"/bin/{shell}")
    phone = find_device(device.bare)

    def cut() -> None:
        until = time.monotonic() + 20
        while not any("sleep\0" in told for told in device.told()) and time.monotonic() < until:
            time.sleep(0.02)
        if victim == "client":
            send(signal.SIGKILL, device.clients())
        else:
            send(signal.SIGHUP, device.shells())

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(UnreachableError, match=r"the connection broke.*is kept"):
        phone.open(files["endless"], runtime="litert")
    thread.join()
    with pytest.raises(UnreachableError, match="the connection broke"):
        phone.open(files["fast"], runtime="litert")
    device.wait_until_left()


def test_what_was_killed_at_once_is_cleared_up_after_by_the_next(device: AdbDevice):
    phone = find_device(device.bare)
    send(signal.SIGKILL, device.processes())
    assert len(list(device.temporary.iterdir())) == 1
    with pytest.raises(UnreachableError):
        phone.heat()
    find_device(device.bare).close()
    device.wait_until_left()


def test_a_phone_that_is_unplugged_while_a_file_is_sent_is_unreachable(
    device: AdbDevice, files: dict[str, Path], phone: Phone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ridgepoint.deploy.places.connection.LAST_WORDS_S", 0.02)
    device.see()
    try:
        with pytest.raises(UnreachableError, match=rf"device '{SERIAL}' not found"):
            phone.open(files["fast"], runtime="litert")
    finally:
        device.see(**{SERIAL: "device"})


def test_a_hot_phone_is_waited_for_and_told_if_it_stays_so(
    device: AdbDevice, files: dict[str, Path], phone: Phone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ridgepoint.deploy.places.phone.COOL_S", 0.05)
    heat = device.folder / "thermalservice"
    heat.write_text(HOT)
    try:
        began = time.monotonic()
        stays = measure({"a": files["fast"]}, runtime="litert", place=phone, rounds=8, patience_s=0.2)["a"]
        assert time.monotonic() - began > 0.2, "it was waited for"
        assert (
            stays.doubt is not None and "so hot that it slows itself down, in 100% of the rounds (44 °C)" in stays.doubt
        )
        heat.write_text(HOT.replace("mType=0", "mType=1"))
        untold = measure({"a": files["fast"]}, runtime="litert", place=phone, rounds=8, patience_s=0.0)["a"]
        assert untold.temperature_c is None and untold.doubt is not None and "100% of the rounds" in untold.doubt
        heat.write_text(HOT)
        cooling = threading.Timer(0.2, heat.write_text, [COOL])
        cooling.start()
        before = len(device.pinned())
        cools = measure({"a": files["fast"]}, runtime="litert", place=phone, rounds=8, patience_s=20.0)["a"]
        assert cools.doubt is None and len(device.pinned()) == before + 1 + 8, "nothing is clocked while it is hot"
    finally:
        heat.write_text(COOL)


def test_a_hot_phone_ends_a_bench_with_3(device: AdbDevice, files: dict[str, Path], monkeypatch):
    from ridgepoint.deploy import bench

    monkeypatch.setattr(bench, "PATIENCE_S", 0.0)
    heat = device.folder / "thermalservice"
    heat.write_text(HOT)
    try:
        done = call("bench", files["fast"], "--device", device.bare, "--rounds", "8")
        assert done.returncode == 3 and "so hot" in done.stderr and "Means, not runs" in done.stdout
    finally:
        heat.write_text(COOL)
        find_device(device.bare).close()
    device.wait_until_left()


def test_what_is_missing_is_said_with_what_to_do(
    device: AdbDevice, files: dict[str, Path], tmp_path: Path, monkeypatch
):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no flatbuffer")
    onnx = tmp_path / "model.onnx"
    onnx.touch()
    other = device.benchmark_model(
        "echo '/system/bin/sh: benchmark_model: not executable: 64-bit ELF file' >&2; exit 126"
    )
    bench = ("--device", device.bare, "--rounds", "8")
    refused(
        call("bench", broken, *bench),
        f"{broken}: benchmark_model ended with 1: Failed to mmap model",
        "Export it again",
    )
    refused(
        call("bench", onnx, *bench),
        "--runtime onnxruntime has no program",
        "--runtime litert",
        "/path/to/python",
    )
    for program, told in (
        (other, "built for arm64-v8a"),
        (tmp_path / "no", "there is no such file"),
        ("", "is yours to get"),
    ):
        find_device(device.bare).close()
        with monkeypatch.context() as patch:
            patch.setenv(PROGRAM, str(program))
            refused(call("bench", files["fast"], *bench), told, PROGRAM)
    find_device(device.bare).close()
    device.wait_until_left()


def test_a_full_disk_there_is_told(device: AdbDevice, files: dict[str, Path], phone: Phone):
    fails = device.folder / "push_fails"
    fails.write_text("couldn't create file: No space left on device")
    try:
        with pytest.raises(InputError, match=r"no room is left for .* on its disk. Make some"):
            phone.open(files["fast"], runtime="litert")
    finally:
        fails.unlink()
    assert phone.open(files["fast"], runtime="litert").cores == (2, 3)


def test_what_needs_answers_is_refused(device: AdbDevice, files: dict[str, Path], phone: Phone, tmp_path: Path):
    told = ("neither parity nor accuracy can be checked", "ridgepoint calibrate --device", "--runtime litert")
    refused(call("fit", "digits", "--latency", "5ms", "--device", device.bare, "--out", tmp_path / "run"), *told)
    refused(call("eval", files["fast"], "digits", "--device", device.bare), *told)
    with pytest.raises(InputError, match="neither parity nor accuracy"):
        phone.open(files["fast"], runtime="litert").run(np.zeros((1, 3, 8, 8), np.float32))


def test_a_phone_says_what_it_is(device: AdbDevice):
    told = call("devices", "--probe", device.bare)
    assert told.returncode == 0, told.stderr
    for part in (
        "Google Pixel 6, arm64-v8a",
        "4, at most 1800, 2802 MHz",
        "sched_pixel",
        "44 °C",
        "Android 14",
        "none named",
    ):
        assert part in told.stdout
    found = json.loads(call("devices", "--probe", device.bare, "--json").stdout)
    assert found["identity"] and "litert" in found["tables"] and found["python"] is None
    find_device(device.bare).close()
    device.wait_until_left()


NEW = """INFO: Initialized session in 207.799ms.
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=11 first=90710 curr=42743 min=42209 max=90710 avg=48230.2 std=13845 p5=42209 median=42611 p95=90710

INFO: Running benchmark for at least 5 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=24 first=42468 curr=41938 min=41938 max=42840 avg=42394.8 std=188 p5=42133 median=42419 p95=42671

INFO: Inference timings in us: Init: 207799, First inference: 90710, Warmup (avg): 48230.2, Inference (avg): 42394.8
"""


@pytest.mark.parametrize(
    ("told", "runs", "ms"),
    [
        (NEW, 24, 42.3948),
        ("count=50 curr=2 avg=9\ncurr=81350 count=7 min=77385 max=88213 avg=79732 std=1929", 7, 79.732),
        ("INFO: count=1 curr=123456", 1, 123.456),
        ("INFO: count=3 curr=90(all same)", 3, 0.09),
        ("INFO: count=2 first=1 curr=2 min=1 max=3 avg=1.23457e+06 std=1", 2, 1234.57),
    ],
)  # fmt: skip
def test_what_benchmark_model_tells_is_read_whatever_its_version(told: str, runs: int, ms: float):
    found = benchmark_model.read(told, 0)
    assert (found.runs, found.mean_ms) == (runs, pytest.approx(ms))


@pytest.mark.parametrize(
    "told", ["", "count=0", "count=5", "count=4 avg=nan", "count=2 avg=0", "count=1 curr=9e999", "\0"]
)
def test_what_tells_no_time_is_refused(told: str):
    with pytest.raises(InputError, match="told no time of a run"):
        benchmark_model.read(told, 0)


def test_what_failed_is_told_as_benchmark_model_says_it():
    told = (
        "INFO: STARTING!\nERROR: Node number 57 (BATCH_MATMUL) failed to prepare.\nERROR: Failed to allocate tensors!\n"
    )
    with pytest.raises(InputError, match=r"ended with 1: Node number 57 .* failed to prepare\.; Failed to allocate"):
        benchmark_model.read(told + "ERROR: Benchmarking failed.\n", 1)


def test_words_for_benchmark_model_mean_nothing_to_a_shell():
    line = benchmark_model.command("/d/p", "/d/a';rm -rf *", threads=2, seconds=0.2, cores=(4, 7))
    assert line.startswith("exec taskset 90 /d/p ") and "'--graph=/d/a'\"'\"';rm -rf *'" in line


def test_heat_is_what_android_says_of_now():
    assert thermal.read(COOL) == (44.25, False) and thermal.read(HOT) == (44.25, True)
    assert thermal.read(COOL.partition("HAL Ready")[0]) == (77.7, False), (
        "what it remembers, where it tells nothing of now"
    )
    assert thermal.read("Can't find service: thermalservice") == (None, False)
