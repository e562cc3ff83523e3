"""The main job for another machine: trained here, clocked and checked there, through a real sshd on loopback."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_helpers import run as ridgepoint
from fit_helpers import COUNTED, command, finish, start
from processes import send
from ssh_server import Server, ssh_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server") as found:
        yield found


@pytest.fixture(scope="module")
def fitted(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("fits") / "run"
    finish([*command(run, "--device", server.address), *COUNTED])
    server.wait_until_left()
    return run


def test_a_fit_is_clocked_and_checked_on_the_device(server: Server, fitted: Path):
    result = json.loads((fitted / "result.json").read_text())
    latency = result["latency"]
    assert (latency["kind"], latency["place"]) == ("measured", server.address) and result["met"]
    assert result["parity"]["top1_agreement"] == 1.0 and result["accuracy"]["artefact"] is not None
    assert {each["latency"]["place"] for each in result["finalists"]} == {server.address}
    assert f"measured on {server.address}" in (fitted / "report.html").read_text()


def test_the_file_is_evaluated_and_clocked_there_too(server: Server, fitted: Path):
    here = ridgepoint("eval", fitted, "digits", "--json")
    there = ridgepoint("eval", fitted, "digits", "--json", "--device", server.address)
    first, second = json.loads(here.stdout), json.loads(there.stdout)
    assert second.pop("device") == server.address and first.pop("device") == "host"
    assert first.pop("decoding_ms") > 0 and second.pop("decoding_ms") > 0 and first == second
    words = ("bench", fitted / "model.onnx", "--device", server.address, "--rounds", "8", "--busy", "--json")
    (row,) = json.loads(ridgepoint(*words).stdout)["rows"]
    assert row["latency"]["place"] == server.address and row["latency"]["peak_memory_bytes"] is None
    told = json.loads(ridgepoint("devices", "--probe", server.address, "--json").stdout)
    assert told["machine"] == os.uname().machine and Path(told["tables"]["onnxruntime"]).exists()
    server.wait_until_left()


def test_a_fit_whose_connection_breaks_goes_on_with_resume(server: Server, tmp_path: Path):
    """The client is killed when the search has begun; whatever was trained and clocked until then stays."""
    words = [*command(tmp_path / "run", "--device", server.address), *COUNTED]
    process = start(words)
    while not (tmp_path / "run" / "trainings").exists() and process.poll() is None:
        if (tmp_path / "run" / "steps" / "plan.json").exists():
            send(signal.SIGKILL, server.clients())
    _, told = process.communicate(timeout=200)
    assert process.returncode == 3 and "the connection broke" in told and "--resume" in told, told
    assert "Traceback" not in told
    server.wait_until_left()
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "steps").glob("plan.json")}
    finish([*words, "--resume"])
    assert json.loads((tmp_path / "run" / "result.json").read_text())["met"]
    assert all(path.read_bytes() == content for path, content in before.items())
    server.wait_until_left()


def test_a_network_for_this_machine_and_a_device_is_clocked_and_checked_on_both(server: Server, tmp_path: Path):
    run = tmp_path / "run"
    finish([*command(run, "--also", f"{server.address}=50ms"), *COUNTED])
    result = json.loads((run / "result.json").read_text())
    here, there = result["targets"]
    assert (here["name"], there["name"]) == ("host", server.address) and result["met"] and there["met"]
    assert (here["latency"]["place"], there["latency"]["place"]) == ("host", server.address)
    assert there["latency"]["kind"] == "measured" and there["parity"]["top1_agreement"] == 1.0
    assert there["accuracy"] == here["accuracy"] and (run / there["artefact"]).is_file()
    assert all(set(each["elsewhere"]) == {server.address} for each in result["finalists"])
    server.wait_until_left()
