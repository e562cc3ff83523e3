"""Devices that adb reaches, with a stand-in for adb: what goes there, what failures say, and that nothing is left."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from adb_device import SERIAL, AdbDevice, adb_device
from cli_helpers import call, fill, mounted, refused
from processes import send
from train_helpers import small_network

from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places.address import AdbAddress, read_address
from ridgepoint.deploy.places.find import find_device
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.deploy.places.remote import Device
from ridgepoint.errors import InputError, UnreachableError
from ridgepoint.nn.build import build


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbDevice]:
    with adb_device(tmp_path_factory.mktemp("adb")) as found:
        yield found


@pytest.fixture
def device(phone: AdbDevice) -> Iterator[Device]:
    found = find_device(phone.address)
    yield found
    found.close()
    phone.wait_until_left()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "a model.onnx"
    export_for_timing(build(small_network()), small_network().input_shape, path, "onnxruntime")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "adb://", "adb://-s", "adb://a b", "adb://a;id", "adb://$(id)", "adb://a'b", "adb://a\n", "adb://a/$(id)",
        "adb://a/b'c", "adb://a@b", "ADB://a", "adb://" + "a" * 300, "adb:///usr/bin/python3", "adb://[::1]",
    ],
)  # fmt: skip
def test_what_is_no_serial_is_refused(text: str):
    with pytest.raises(InputError, match="is no address of a device"):
        read_address(text)


def test_a_serial_is_written_as_it_is_read():
    for serial in ("emulator-5554", "192.168.1.5:5555", "[fe80::1]:5555", "adb-1A2B-xyz._adb-tls-connect._tcp"):
        for python in (None, "/data/local/tmp/python/bin/python3"):
            text = f"adb://{serial}{python or ''}"
            assert read_address(text) == AdbAddress(serial, python) and str(read_address(text)) == text


def test_a_device_answers_as_this_machine_does(device: Device, phone: AdbDevice, file: Path):
    assert device.hello.runtimes["onnxruntime"] and device.hello.machine == os.uname().machine
    assert len(list(phone.temporary.iterdir())) == 1 and phone.processes()
    images = np.random.default_rng(0).standard_normal((3, *small_network().input)).astype(np.float32)
    there = device.open(file, runtime="onnxruntime", pinned=False)
    here = LOCAL.open(file, runtime="onnxruntime", pinned=False)
    np.testing.assert_array_equal(there.run(images), here.run(images))


def test_files_take_turns_there(device: Device, file: Path):
    found = measure({"a": file, "b": file}, place=device, rounds=8, round_s=0.002, patience_s=0.0)
    for latency in found.values():
        assert latency.place == device.name and latency.rounds == 8 and latency.runs >= 3 and latency.ms > 0


@pytest.mark.parametrize("victim", ["client", "agent"])
def test_a_broken_connection_is_told_and_nothing_is_left(phone: AdbDevice, file: Path, victim: str):
    found = find_device(phone.address)
    session = found.open(file, runtime="onnxruntime")

    def cut() -> None:
        time.sleep(0.2)
        if victim == "client":
            send(signal.SIGKILL, phone.clients())
        else:
            send(signal.SIGHUP, phone.processes())

    threading.Thread(target=cut).start()
    with pytest.raises(UnreachableError, match=r"the connection broke.*is kept"):
        measure({"a": file}, place=found, rounds=10_000, patience_s=0.0)
    with pytest.raises(UnreachableError, match="the connection broke"):
        session.run(np.zeros((1, *small_network().input), np.float32))
    phone.wait_until_left()


def test_hanging_up_on_an_agent_that_ends_already_leaves_nothing(phone: AdbDevice):
    found = find_device(phone.address)
    (folder,), (agent,) = phone.temporary.iterdir(), phone.processes()
    files = [folder / f"{number:04}" for number in range(4000)]
    for file in files:
        file.touch()
    ending = threading.Thread(target=found.close)
    ending.start()
    while all(file.exists() for file in files[::100]) and ending.is_alive():
        time.sleep(0.001)
    send(signal.SIGHUP, [agent])
    ending.join()
    phone.wait_until_left()


STATES = {
    "unauthorized": "does not trust this computer. Unlock it and allow USB debugging",
    "offline": "it is offline. Plug it in again",
    "no permissions": "its USB port may not be used. Rules of udev",
    "no server": "adb's own server does not run. Try: adb kill-server",
    "old": "older than Android 7",
    "closed": "closed the connection at once",
}


@pytest.mark.parametrize("state", STATES)
def test_what_adb_cannot_do_is_said_with_what_to_do(phone: AdbDevice, state: str):
    phone.see(**{SERIAL: state})
    try:
        message = refused(call("devices", "--probe", phone.address), STATES[state])
        assert "\n" not in message.strip()
    finally:
        phone.see(**{SERIAL: "device"})
    phone.wait_until_left()


def test_a_device_that_is_not_there_is_told_with_those_that_are(phone: AdbDevice):
    phone.see(**{"emulator-5554": "device", "0123": "unauthorized"})
    try:
        told = ("adb sees no such device", "adb://emulator-5554 (device), adb://0123 (unauthorized)")
        refused(call("devices", "--probe", phone.address), *told)
        phone.see()
        refused(call("devices", "--probe", phone.address), "It sees none: is USB debugging on")
    finally:
        phone.see(**{SERIAL: "device"})


def test_what_is_missing_there_is_said_with_what_to_do(phone: AdbDevice, tmp_path: Path, monkeypatch):
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 'ridgepoint: AssertionError: Python 3.7 is too old: 3.9 is needed' >&2\nexit 1\n")
    old.chmod(0o755)
    cases = {
        f"{phone.bare}/no/such/python": "has no /no/such/python. Install Python",
        f"{phone.bare}/data/data/com.termux/files/usr/bin/python": "--device ssh://127.0.0.1:8022/data/data/com.termux",
        f"{phone.bare}/bin/false": "no agent could be begun there",
        f"{phone.bare}{old}": "is older than 3.9",
    }
    for address, told in cases.items():
        with pytest.raises(InputError) as found:
            find_device(address)
        assert told in str(found.value) and "\n" not in str(found.value), address
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(call("devices", "--probe", phone.address), "there is no adb on this machine", "apt install adb")
    phone.wait_until_left()


def test_a_full_disk_there_is_told(tmp_path: Path, file: Path):
    with contextlib.ExitStack() as stack:
        try:
            small = stack.enter_context(mounted(tmp_path / "disk", 400))
        except OSError as error:
            pytest.skip(f"cannot mount a small disk here: {error}")
        phone = stack.enter_context(adb_device(tmp_path / "phone", temporary=small))
        found = find_device(phone.address)
        filler = fill(small)
        with pytest.raises(InputError, match="No space left on device"):
            found.open(file, runtime="onnxruntime")
        filler.unlink()
        found.close()
        phone.wait_until_left()


def test_commands_take_a_device_that_adb_reaches(phone: AdbDevice, file: Path):
    done = call("bench", file, "--device", phone.address, "--rounds", "8", "--busy", "--json")
    assert done.returncode == 0 and f'"place": "{phone.address}"' in done.stdout, done.stderr
    told = call("devices", "--probe", phone.address)
    assert told.returncode == 0 and sys.executable in told.stdout, told.stderr
    find_device(phone.address).close()
    phone.wait_until_left()
