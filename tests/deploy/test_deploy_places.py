"""Devices that ssh reaches: what they are called, what is sent to them, and that nothing is lost or left behind."""

import ast
import contextlib
import json
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import mounted
from hypothesis import given
from hypothesis import strategies as st
from processes import send
from quick_clock import take_references
from ssh_server import Server, ssh_server

from ridgepoint import system
from ridgepoint.arch.zoo import load
from ridgepoint.cost.table import LatencyTable
from ridgepoint.deploy import sampling
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places import connection
from ridgepoint.deploy.places.address import Address, read_address
from ridgepoint.deploy.places.agent import about
from ridgepoint.deploy.places.bundle import FILES, ROOT
from ridgepoint.deploy.places.connection import Connection
from ridgepoint.deploy.places.find import find_place
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.deploy.places.remote import Device
from ridgepoint.deploy.places.ssh import connect
from ridgepoint.deploy.places.wire import MAGIC
from ridgepoint.errors import InputError, RidgepointError, UnreachableError
from ridgepoint.nn.build import build


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server") as found:
        yield found


@pytest.fixture
def device(server: Server) -> Iterator[Device]:
    found = connect(read_address(server.address))
    yield found
    found.close()
    server.wait_until_left()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = load("mobilenetv3_small_100").at(height=64)
    path = tmp_path_factory.mktemp("files") / "a model.onnx"
    export_for_timing(build(network), network.input_shape, path, "onnxruntime")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "ssh://-oProxyCommand=touch", "ssh://-h", "ssh://u@-h", "ssh://-l@h", "ssh://", "ssh://h:0", "ssh://h:65536",
        "ssh://h:22:22", "ssh://a b", "ssh://h;id", "ssh://h/$(id)", "ssh://h/a'b", "ssh://h/a\nb", "ssh://h\n",
        "http://h", "ssh://u:secret@h", "ssh://h/../a b", "ssh://h?x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(InputError, match="is no address"):
        read_address(text)


@given(st.text(max_size=40))
def test_no_address_holds_what_means_something_to_a_shell_or_to_ssh(text: str):
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+/:%[]")
    for scheme in ("ssh://", "adb://"):
        with contextlib.suppress(InputError):
            found = read_address(f"{scheme}{text}")
            words = (found.host, found.user) if isinstance(found, Address) else (found.serial,)
            for word in (*words, found.python):
                assert not (word or "").startswith("-") and set(word or "") <= letters
            assert not isinstance(found, Address) or found.words[-2:] == ["--", found.host]


def test_an_address_is_written_as_it_is_read():
    for text in ("ssh://h", "ssh://pi@board.local:2222", "ssh://pi@h/home/pi/venv/bin/python", "ssh://[fe80::1]:22"):
        assert str(read_address(text)) == text
    assert read_address("ssh://pi@h:22").words == ["-p", "22", "-l", "pi", "--", "h"]


def test_what_is_sent_is_for_python_39_and_imports_nothing_that_is_not_sent():
    sent = {f"ridgepoint.{name.removesuffix('.py').replace('/', '.')}" for name in FILES}
    allowed = {*sys.stdlib_module_names, "numpy", "onnxruntime"}
    for name in FILES:
        tree = ast.parse((ROOT / name).read_text(), feature_version=(3, 9))
        assert any(isinstance(each, ast.ImportFrom) and each.module == "__future__" for each in tree.body), name
        for each in ast.walk(tree):
            modules = [alias.name for alias in each.names] if isinstance(each, ast.Import) else []
            modules += [each.module or ""] if isinstance(each, ast.ImportFrom) else []
            for module in modules:
                assert module in sent or module.partition(".")[0] in allowed, f"{name} imports {module}"
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "zip":
                assert not each.keywords, f"{name}: zip(strict=...) is of Python 3.10"


def test_a_device_says_what_it_is_and_leaves_nothing(server: Server):
    found = connect(read_address(server.address))
    assert found.hello.machine == os.uname().machine and found.hello.runtimes["onnxruntime"]
    assert found.device == LOCAL.device and len(found.hello.cores) == len(os.sched_getaffinity(0))
    there, here = found.conditions("onnxruntime", 1), LOCAL.conditions("onnxruntime", 1)
    assert there.place == f"device-{found.hello.identity}" and there.file_name() != here.file_name()
    assert len(list(server.temporary.iterdir())) == 1 and server.agents()
    found.close()
    server.wait_until_left()
    assert not server.clients()


def test_what_changes_when_a_device_is_started_anew_does_not_make_it_another(tmp_path: Path, monkeypatch):
    told = {}
    for name, bogus in (("first", "108.00"), ("again", "107.84"), ("other", "108.00\nCPU part\t: 0xd0b")):
        monkeypatch.setattr(system, "_CPU_INFO", tmp_path / name)
        (tmp_path / name).write_text(f"processor\t: 0\nBogoMIPS\t: {bogus}\nCPU implementer\t: 0x41\n")
        told[name] = about()["identity"]
    assert told["first"] == told["again"] != told["other"]


def test_a_device_answers_as_this_machine_does(device: Device, file: Path):
    images = np.random.default_rng(0).standard_normal((5, 3, 64, 64)).astype(np.float32)
    there = device.open(file, runtime="onnxruntime", pinned=False)
    here = LOCAL.open(file, runtime="onnxruntime", pinned=False)
    np.testing.assert_array_equal(there.run(images), here.run(images))
    assert (there.input_shape, there.precision, there.version) == (here.input_shape, here.precision, here.version)
    with pytest.raises(InputError, match="cannot run it"):
        there.run(images[:, :2])
    np.testing.assert_array_equal(there.run(images[:1]), here.run(images[:1]))


def test_files_are_sent_once_and_sessions_that_nobody_has_are_closed(device: Device, file: Path, monkeypatch):
    sent: list[str] = []
    real = device.connection.send
    monkeypatch.setattr(
        device.connection, "send", lambda header, *a, **b: (sent.append(header["kind"]), real(header, *a, **b))
    )
    for _ in range(3):
        session = device.open(file, runtime="onnxruntime")
        del session
    device.ask({"kind": "hello"})
    assert sent.count("put") == 1 and sent.count("open") == 3 and sent.count("close") >= 2


def test_files_take_turns_there(device: Device, file: Path):
    told: list[tuple[int, int]] = []
    names = {"a": file, "b": file}
    found = measure(names, place=device, rounds=8, round_s=0.005, patience_s=0.0, progress=lambda *at: told.append(at))
    assert [done for done, _ in told] == list(range(1, 9))
    for latency in found.values():
        assert (latency.place, latency.device, latency.kind) == (device.name, LOCAL.device, "measured")
        assert latency.runs >= 3 and 0 < latency.ms < 100 and latency.rounds == 8


@pytest.mark.clock
def test_the_clock_there_shows_what_it_shows_here(device: Device, file: Path, monkeypatch: pytest.MonkeyPatch):
    """By turns, and as far as both are sure: the cores of a busy host may differ by half."""
    take_references(monkeypatch)
    ratios = []
    for _ in range(2):
        here, there = (measure({"a": file}, place=place, rounds=12, patience_s=0.5)["a"] for place in (LOCAL, device))
        if here.doubt is None and there.doubt is None:
            ratios.append(there.ms / here.ms)
    assert not ratios or 0.75 < statistics.median(ratios) < 1.33, "benchmarks/places.py looks closer, on a calm machine"


@pytest.mark.parametrize("victim", ["client", "agent"])
def test_a_broken_connection_is_told_and_nothing_is_left(server: Server, file: Path, victim: str):
    found = connect(read_address(server.address))
    session = found.open(file, runtime="onnxruntime")
    image = np.zeros((1, 3, 64, 64), np.float32)
    session.run(image)

    def cut() -> None:
        time.sleep(0.3)
        if victim == "client":
            send(signal.SIGKILL, server.clients())
        else:
            send(signal.SIGTERM, server.agents())

    threading.Thread(target=cut).start()
    with pytest.raises(UnreachableError, match=r"the connection broke.*is kept"):
        measure({"a": file}, place=found, rounds=10_000, patience_s=0.0)
    with pytest.raises(UnreachableError, match="the connection broke"):
        session.run(image)
    server.wait_until_left()


def test_what_ends_the_runtimes_process_costs_its_sessions_alone(server: Server, device: Device, file: Path):
    session = device.open(file, runtime="onnxruntime")
    image = np.zeros((1, 3, 64, 64), np.float32)
    session.run(image)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSEGV)
    with pytest.raises(InputError, match=r"ended its process there \(signal 11\)"):
        session.run(image)
    assert device.open(file, runtime="onnxruntime").run(image).shape == (1, 1000)


def test_an_agent_that_was_killed_at_once_is_cleared_up_after_by_the_next(server: Server):
    found = connect(read_address(server.address))
    send(signal.SIGKILL, server.agents())
    assert len(list(server.temporary.iterdir())) == 1
    with pytest.raises(UnreachableError):
        found.ask({"kind": "hello"})
    connect(read_address(server.address)).close()
    server.wait_until_left()


def test_a_calibration_goes_on_after_a_broken_connection(server: Server, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLES", 12)
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 12)
    monkeypatch.setattr(sampling, "AGAIN", 4)
    monkeypatch.setattr(sampling, "TOGETHER", 4)
    path = tmp_path / "table.json"
    found = connect(read_address(server.address))
    table = HostTable(path=path, busy=True, place=found).table
    assert table.conditions.place.startswith("device-")

    def cut(share: float, text: str) -> None:
        if len(table.samples) == 8:
            send(signal.SIGKILL, server.clients())

    with pytest.raises(UnreachableError):
        sampling.time_samples(table, path, time_s=9.0, busy=True, place=found, progress=cut)
    server.wait_until_left()
    kept = stored(path)
    assert len(kept.samples) == 8 and kept.samples == table.samples
    again = connect(read_address(server.address))
    other = HostTable(path=path, busy=True, place=again).table
    sampling.time_samples(other, path, time_s=9.0, busy=True, place=again)
    assert stored(path).samples[4:8] == kept.samples[4:], "nothing is timed again"
    assert len(stored(path).samples) == 12
    again.close()
    server.wait_until_left()


def stored(path: Path) -> LatencyTable:
    import msgspec

    return msgspec.json.decode(path.read_bytes(), type=LatencyTable)


def test_what_is_missing_is_said_with_what_to_do(server: Server, tmp_path: Path, file: Path):
    cases = {
        f"{server.bare}/no/such/python": "has no /no/such/python. Install Python",
        "ssh://127.0.0.1:9": "no ssh server answers there",
        "ssh://no.such.host.invalid": "there is no host of this name",
        f"ssh://nobody-here@127.0.0.1:{server.port}": "ssh lets us in with no key",
        f"{server.bare}/bin/false": "no agent could be begun there",
    }
    for address, told in cases.items():
        with pytest.raises(InputError) as found:
            connect(read_address(address))
        assert told in str(found.value) and "\n" not in str(found.value), address
    known = server.folder / "known"
    before = known.read_text()
    known.write_text(before.replace((server.folder / "host.pub").read_text(), (server.folder / "user.pub").read_text()))
    try:
        with pytest.raises(InputError, match="host key"):
            connect(read_address(server.address))
    finally:
        known.write_text(before)
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 'ridgepoint: AssertionError: Python 3.7 is too old: 3.9 is needed' >&2\nexit 1\n")
    old.chmod(0o755)
    with pytest.raises(InputError, match=r"is older than 3.9"):
        connect(read_address(f"{server.bare}{old}"))
    server.wait_until_left()


def test_runtimes_that_a_device_lacks_are_named_with_what_to_type(device: Device, file: Path):
    with pytest.raises(InputError, match="Allowed there: onnxruntime"):
        device.open(file, runtime="openvino")
    for versions, told in (({}, "has no onnxruntime"), ({"onnxruntime": "1.8.0"}, "has onnxruntime 1.8.0")):
        device.hello.runtimes.clear()
        device.hello.runtimes.update(versions)
        with pytest.raises(InputError, match=told) as found:
            device.conditions("onnxruntime", 1)
        assert f"{sys.executable} -m pip install -U onnxruntime" in str(found.value)


@contextlib.contextmanager
def disk(folder: Path, size_kb: int) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(mounted(folder, size_kb))
        except OSError as error:
            pytest.skip(f"cannot mount a small disk here: {error}")
        yield found


def test_a_full_disk_there_is_told_and_files_that_fit_still_go(tmp_path: Path, file: Path):
    with (
        mounted(tmp_path / "disk", 4000) as small,
        ssh_server(tmp_path / "server", temporary=small / "there") as server,
    ):
        found = connect(read_address(server.address))
        with pytest.raises(InputError, match="No space left on device"):
            found.open(file, runtime="onnxruntime")
        network = load("mobilenetv3_small_050").at(height=32).with_classes(10)
        export_for_timing(build(network), network.input_shape, tmp_path / "small.onnx", "onnxruntime")
        assert (
            found.open(tmp_path / "small.onnx", runtime="onnxruntime").run(np.zeros((1, 3, 32, 32), np.float32)).shape
        )
        found.close()
        server.wait_until_left()


def test_where_nothing_can_be_clocked_is_refused():
    with pytest.raises(InputError, match="did you mean 'host'"):
        find_place("hots")


HELLO = {
    "kind": "hello", "size": 0, "identity": "0" * 16, "machine": "m", "system": "s", "python": "3", "executable": "p",
    "cpu_info": "", "cores": [], "memory_bytes": None, "temperature_c": None, "runtimes": {"onnxruntime": "1.30.0"},
}  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"no message\n", b"[]\n", b'{"kind": 1, "size": 0}\n', b'{"kind": "opened"}\n', b"[" * 100_000 + b"\n",
        b'{"kind": "opened", "size": 99999999999}\n', b'{"kind": "opened", "size": -1}\n', b"x" * (9 << 20),
        b'{"kind": "opened", "size": 0, "input_shape": [NaN], "cores": []}\n',
        b'{"kind": "opened", "size": 0, "input_shape": "abc", "cores": []}\n', b'{"kind": "opened", "size": 9}\nab',
        b'{"kind": "refused", "size": 0, "message": {"a": "\\u001b[2J"}}\n', b'{"kind": "absent", "size": 0}\n' * 2,
    ],
)  # fmt: skip
def test_whatever_a_device_answers_is_told_in_a_sentence(answer: bytes, file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(connection, "LAST_WORDS_S", 0.02)
    kept = b'{"kind": "kept", "size": 0}\n' * (2 if b"absent" in answer else 1)
    said = tmp_path / "said"
    said.write_bytes(MAGIC + json.dumps(HELLO).encode() + b"\n" + kept + answer)
    command = ["sh", "-c", f"cat {said} & exec cat > /dev/null"]
    found = Device(Connection(command, "device", lambda said, code: InputError(said)), "device")
    with pytest.raises(RidgepointError, match="device: ") as told:
        found.open(file, runtime="onnxruntime")
    assert "\x1b" not in str(told.value) and len(str(told.value)) < 2100
    found.close()
