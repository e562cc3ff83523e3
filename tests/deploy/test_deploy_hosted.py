"""Files of foreign runtimes in processes of their own: what goes wrong there costs that file alone."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import hosted_toy
import numpy as np
import pytest
from hosted_toy import HostedToy

from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.runtimes import find_runtime, hosted, open_session
from ridgepoint.errors import InputError
from ridgepoint.system import allowed_cpus
from ridgepoint.testing import runtimes as kit

SHAPE = kit._network().input_shape


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedToy]:
    """Installed for all tests here, which share the process that its files' processes are forked from."""
    about = tmp_path_factory.mktemp("packages") / "hosted_toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hosted_toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ridgepoint.runtimes]\nhosted_toy = hosted_toy:HostedToy\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(about.parent)
        hosted._host.cache_clear()
        yield find_runtime("hosted_toy")  # type: ignore[misc]
    hosted._host.cache_clear()


@pytest.fixture
def path(toy: HostedToy, tmp_path: Path) -> Path:
    path = tmp_path / "model.toy"
    export_for_timing(kit._model(), SHAPE, path, "hosted_toy")
    return path


def image(wish: float = 1.0) -> np.ndarray:
    return np.full((1, SHAPE.channels, SHAPE.height, SHAPE.width), wish, np.float32)


def test_answers_larger_than_a_message_come_in_several(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Maps of classes are many times as large as their images; two images a message, whose answers it just holds."""
    monkeypatch.setattr(hosted, "LARGEST_REQUEST", 2 * image().nbytes)
    session = open_session(path, runtime="hosted_toy")
    images = np.concatenate([image(number / 8) for number in range(5)])
    each = np.concatenate([session.run(images[at : at + 1]) for at in range(5)])
    monkeypatch.setattr(hosted, "LARGEST_REPLY", 2 * each[0].nbytes + 200)
    np.testing.assert_array_equal(session.run(images), each)


def test_a_hosted_runtime_does_all_that_one_must_do(toy: HostedToy):
    kit.check(toy)


def test_what_ends_its_process_is_told_and_costs_that_file_alone(path: Path):
    doomed, other = (open_session(path, runtime="hosted_toy") for _ in range(2))
    expected = other.run(image())
    with pytest.raises(InputError, match=r"model\.toy: hosted_toy ended its process while the file ran: .*--runtime"):
        doomed.run(image(hosted_toy.KILLS))
    np.testing.assert_array_equal(other.run(image()), expected)
    np.testing.assert_array_equal(open_session(path, runtime="hosted_toy").run(image()), expected)


def test_what_takes_too_long_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch):
    session = open_session(path, runtime="hosted_toy")
    monkeypatch.setattr(hosted, "RUN_S", 0.2)
    with pytest.raises(InputError, match=r"was stopped: it took more than 0\.2 s"):
        session.run(image(hosted_toy.HANGS))
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(session._process, 0)  # type: ignore[attr-defined]
            time.sleep(0.05)


def test_what_takes_all_memory_is_refused_there(path: Path):
    session = open_session(path, runtime="hosted_toy")
    with pytest.raises(InputError, match="MemoryError"):
        session.run(image(hosted_toy.FILLS))
    assert session.run(image()).shape == (1, 4)


def test_what_a_library_prints_and_raises_comes_out_as_one_message(path: Path, capfd):
    session = open_session(path, runtime="hosted_toy")
    session.run(image(hosted_toy.CHATTERS))
    with pytest.raises(InputError, match=r"model\.toy: hosted_toy fails: 'what libraries raise'"):
        session.run(image(hosted_toy.RAISES))
    assert capfd.readouterr() == ("", "")


def test_an_answer_of_another_form_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the file made of the process that opened it, ours takes tensors and nothing else from it."""

    class Lying:
        def __init__(self, answer: bytes):
            self.answer = answer

        def send_bytes(self, request: bytes) -> None:
            pass

        def poll(self, limit_s: float) -> bool:
            return True

        def recv_bytes(self, limit: int) -> bytes:
            return self.answer

    session = open_session(path, runtime="hosted_toy")
    opened = hosted.Opened((3, 16, 16), "float32", None)
    for answer in (b"", b"\x80\x04cos\nsystem\n", hosted.msgspec.msgpack.encode(opened)):
        session._connection = Lying(answer)  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="answers with what"):
            session.run(image())
    session._connection = Lying(hosted.msgspec.msgpack.encode(hosted.Answer((9, 9), b"1234")))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="a tensor that is none"):
        session.run(image())


@pytest.mark.clock
def test_turns_are_clocked_where_the_file_runs_and_its_work_is_ours(path: Path):
    """Its time has no way between processes in it: that would be more than a small network takes."""
    before, own = allowed_cpus(), hosted.ELSEWHERE_S.copy()
    found = measure({"model": path}, runtime="hosted_toy", rounds=8, round_s=0.005, patience_s=0.0)["model"]
    assert 0 < found.ms < 50 and found.runs >= 24 and allowed_cpus() == before
    assert sum(hosted.ELSEWHERE_S.values()) > sum(own.values())
