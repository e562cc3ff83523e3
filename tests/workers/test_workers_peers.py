"""Peers of a study that are hostile, broken or of another version: refused in a line, and everybody goes on.

The same for SQLite and, where a server is installed, PostgreSQL.
"""

import socket
import threading
from pathlib import Path

import pytest
from database import postgresql
from msgspec.json import encode
from peer_helpers import changed, job, plain, terms

from ridgepoint.errors import RunError
from ridgepoint.search.method import Judgement
from ridgepoint.workers import crew as crew_module
from ridgepoint.workers import worker
from ridgepoint.workers.board import TRIES, Board
from ridgepoint.workers.crew import Crew
from ridgepoint.workers.peers import Allowed, Failed
from ridgepoint.workers.worker import serve


class Heard:
    """A display that remembers."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


@pytest.fixture(scope="module")
def server() -> str:
    return postgresql()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db" if request.param == "sqlite" else request.getfixturevalue("server")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whatever is asked of the network; sockets of the file system are none of it."""
    asked: list[object] = []

    def refuse(*given: object, **more: object) -> None:
        asked.append(given)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    yield asked
    assert asked == []


JOB = plain(job())
ESCAPE = "../../../outside/evil"
BAD_JOBS = {
    "no JSON": ("{", "cannot be read as job"),
    "empty": ("", "cannot be read as job"),
    "null": ("null", "cannot be read as job"),
    "deep": ("[" * 50_000, "cannot be read as job"),
    "control characters": ("\x1b[2J\n\r{}", "cannot be read as job"),
    "huge": (changed(JOB, "candidate.note", "x" * 1_100_000), "cannot be read as job"),
    "name": (changed(JOB, "candidate.name", ESCAPE), "candidate.name"),
    "name of dots": (changed(JOB, "candidate.name", ".."), "candidate.name"),
    "absolute name": (changed(JOB, "candidate.name", "/tmp/evil"), "candidate.name"),
    "name with a line end": (changed(JOB, "candidate.name", "candidate-000\n"), "candidate.name"),
    "name with a pattern": (changed(JOB, "candidate.name", "*"), "candidate.name"),
    "long name": (changed(JOB, "candidate.name", "x" * 300), "candidate.name"),
    "parent": (changed(JOB, "candidate.parent", ESCAPE), "candidate.parent"),
    "proposal's parent": (changed(JOB, "proposal.parent", ESCAPE), "proposal.parent"),
    "inherits": (changed(JOB, "proposal.inherits", True), "the seed network left no weights"),
    "inherits from nobody": (
        changed(JOB | {"proposal": JOB["proposal"] | {"inherits": True}}, "proposal.parent", "candidate-007"),
        "candidate-007 left no weights",
    ),
    "classes": (changed(JOB, "candidate.network.num_classes", 11), "has 11 classes. Allowed"),
    "channels": (changed(JOB, "candidate.network.input", [3, 16, 16]), "takes 3 x 16 x 16"),
    "pixels": (changed(JOB, "candidate.network.input", [1, 100_000, 100_000]), "up to 1024 px"),
    "a billion channels": (changed(JOB, "candidate.network.stem.0.out_channels", 10**9), "out_channels"),
    "ten billion parameters": (
        changed(JOB, "candidate.network.stages.0.blocks.0",
                {"block": "uib", "middle_kernel": 3, "expand_channels": 100_000, "out_channels": 100_000}),
        "Allowed: 500,000,000",
    ),
    "a number too large": (changed(JOB, "candidate.network.stem.0.out_channels", 2**62), ""),
    "no kernel": (changed(JOB, "candidate.network.stem.0.kernel", 0), "kernel"),
    "no block": (changed(JOB, "candidate.network.stem.0.block", "evil"), "Invalid value 'evil'"),
    "a million blocks": (
        changed(JOB, "candidate.network.stages.0.blocks", JOB["candidate"]["network"]["stages"][0]["blocks"] * 5000),
        "blocks. Allowed: 2,000",
    ),
    "negative latency": (changed(JOB, "candidate.tabled_ms", -1.0), "tabled_ms"),
    "accuracy": (changed(JOB, "candidate.short_accuracy", 5.0), "short_accuracy"),
    "phase": (changed(JOB, "candidate.phase", "other"), "phase"),
}  # fmt: skip


def tree(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def test_jobs_that_are_none_are_answered_so_and_the_next_one_is_judged(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "outside").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    board, display = Board(url), Heard()
    board.open("run\n\x1b[2J", encode(terms()).decode())
    board.post("run\n\x1b[2J", [*(text for text, _ in BAD_JOBS.values()), encode(job()).decode()])
    before = tree(tmp_path)
    assert serve(url, allowed=Allowed(folders=[Path.cwd()]), idle_s=0.4, display=display) == 1
    answers = [board.answer("run\n\x1b[2J", place).verdict for place in range(len(BAD_JOBS) + 1)]
    for (name, (_, told)), answer in zip(BAD_JOBS.items(), answers[:-1], strict=True):
        assert '"type":"Failed"' in answer and told in answer, (name, answer)
        assert len(answer) < 3000, name
    assert '"type":"Judgement"' in answers[-1]
    assert {path for path in tree(tmp_path) - before if "jobs.db" not in path} == set()
    assert len(display.lines) == len(BAD_JOBS) + 1
    assert all(line.startswith("'run\\n\\x1b[2J', job ") for line in display.lines)
    board.close("run\n\x1b[2J")


TERMS = plain(terms())
BAD_TERMS = {
    "no JSON": ("{", "cannot be read"),
    "a list": ("[1]", "cannot be read"),
    "deep": ("[" * 50_000, "cannot be read"),
    "version": (changed(TERMS, "version", "99\x1b[2J"), "it is of ridgepoint '99"),
    "unknown key": (changed(TERMS, "settings", {"data_root": "/"}), "unknown field"),
    "epochs 0": (changed(TERMS, "bound.epochs", 0), "0 epochs"),
    "epochs without end": (changed(TERMS, "bound.epochs", 10**12), "Allowed: 1 to 10,000 epochs"),
    "no bound": (changed(TERMS, "bound.epochs", None), "None epochs, None seconds"),
    "seconds 0": (changed(TERMS, "bound", {"epochs": None, "seconds": 0.0}), "0.0 seconds"),
    "both": (changed(TERMS, "bound.seconds", 5.0), "5.0 seconds"),
    "size": (changed(TERMS, "size", 100_000), "size"),
    "seed": (changed(TERMS, "seed", -1), "seed"),
    "accelerator": (changed(TERMS, "accelerator", "../x"), "--accelerator is '../x'"),
    "recipe": (changed(TERMS, "recipe.batch_size", 0), "batch_size"),
    "recipe's key": (changed(TERMS, "recipe.evil", 0), "unknown field"),
    "other images": (changed(TERMS, "fingerprint", "0" * 64), "others here than where the search runs"),
    "a folder outside": (changed(TERMS, "data", "/etc"), "may read only what lies in"),
    "a folder above": (changed(TERMS, "data", "../outside"), "may read only what lies in"),
    "a home": (changed(TERMS, "data", "~"), "may read only what lies in"),
    "nobody's home": (changed(TERMS, "data", "~nobody_here/x"), "cannot be looked up"),
    "a link outside": (changed(TERMS, "data", "link"), "may read only what lies in"),
    "NUL": (changed(TERMS, "data", "a\0b"), "data"),
    "long": (changed(TERMS, "data", "x" * 9000), ""),
    "a file": (changed(TERMS, "data", "file"), "is a file"),
    "nothing": (changed(TERMS, "data", "nowhere"), "nowhere"),
    "a download": (changed(TERMS, "data", "CIFAR10"), "is not downloaded here"),
}


def test_runs_that_cannot_or_must_not_be_served_are_left_alone_and_the_next_one_is_served(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "outside" / "a").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("link").symlink_to(tmp_path / "outside")
    Path("file").write_text("")
    board, display = Board(url), Heard()
    for number, (text, _) in enumerate(BAD_TERMS.values()):
        board.open(f"bad-{number:02d}", text)
        board.post(f"bad-{number:02d}", [encode(job()).decode()])
    board.open("good", encode(terms()).decode())
    board.post("good", [encode(job()).decode()])
    before = tree(tmp_path)
    allowed = Allowed(folders=[Path.cwd()], data_root=tmp_path / "work" / "sets")
    assert serve(url, allowed=allowed, idle_s=0.4, display=display) == 1
    assert len(display.lines) == len(BAD_TERMS) + 1
    for number, ((name, (_, told)), line) in enumerate(zip(BAD_TERMS.items(), display.lines[:-1], strict=True)):
        assert line.startswith(f"the run 'bad-{number:02d}' is left alone: ") and told in line, (name, line)
        assert line.isprintable() and len(line) < 2200, (name, line)
        assert [(each.worker, each.tries) for each in board.still_open(f"bad-{number:02d}")] == [(None, 0)], name
        board.close(f"bad-{number:02d}")
    assert {path for path in tree(tmp_path) - before if "jobs.db" not in path} == set()
    board.close("good")


def test_what_the_user_of_a_worker_allows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from cli_helpers import folder_of

    folder_of(tmp_path / "photos", {"a": 12, "b": 12})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    asked = worker.read_terms(changed(TERMS, "data", str(tmp_path / "photos")))
    with pytest.raises(RunError, match=r"may read only what lies in .*work\. To let it: --allow FOLDER"):
        Allowed(folders=[Path.cwd()]).images(asked)
    assert Allowed(folders=[tmp_path]).images(asked)[1].classes == ("a", "b")
    assert Allowed(folders=[Path("../photos")]).images(asked)[1].classes == ("a", "b")


def test_a_study_full_of_runs_that_cannot_be_served_ends_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "MOST_LEFT_ALONE", 3)
    board = Board(f"sqlite:///{tmp_path}/jobs.db")
    for number in range(5):
        board.open(f"bad-{number}", "{")
        board.post(f"bad-{number}", ["{}"])
    with pytest.raises(RunError, match="3 runs of this study cannot be served here, the last one because"):
        serve(f"sqlite:///{tmp_path}/jobs.db", allowed=Allowed(folders=[]))


def test_a_job_that_ended_several_workers_is_not_begun_again(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    board = Board(url)
    board.open("run", encode(terms()).decode())
    board.post("run", [encode(job()).decode()])
    for _ in range(TRIES):
        board.claim("killed")
        board.free("killed")
    assert serve(url, allowed=Allowed(folders=[]), idle_s=0.4) == 0
    assert "workers have begun it" in board.answer("run", 0).verdict


GOOD = {"type": "Judgement", "accuracy": 0.5, "seconds": 1.0}
LIES = {
    "no JSON": "{",
    "nothing": "",
    "deep": "[" * 50_000,
    "huge": encode(GOOD | {"weights": "x" * 1_100_000}).decode(),
    "another type": '{"type": "Evil"}',
    "accuracy above 1": encode(GOOD | {"accuracy": 5.0}).decode(),
    "accuracy below 0": encode(GOOD | {"accuracy": -1.0}).decode(),
    "accuracy 1e300": encode(GOOD | {"accuracy": 1e300}).decode(),
    "accuracy NaN": '{"type": "Judgement", "accuracy": NaN, "seconds": 1}',
    "accuracy beyond floats": '{"type": "Judgement", "accuracy": 1e999, "seconds": 1}',
    "accuracy as text": encode(GOOD | {"accuracy": "1"}).decode(),
    "seconds below 0": encode(GOOD | {"seconds": -1}).decode(),
    "seconds 1e300": encode(GOOD | {"seconds": 1e300}).decode(),
    "weights above": encode(GOOD | {"weights": "../../../../etc/passwd"}).decode(),
    "weights elsewhere": encode(GOOD | {"weights": "/etc/hostname"}).decode(),
    "weights of a hub": encode(GOOD | {"weights": "hf-hub:evil/x"}).decode(),
    "weights inside": encode(GOOD | {"weights": "weights/candidate-000.safetensors"}).decode(),
    "told without end": encode({"type": "Diverged", "told": "x" * 100_000}).decode(),
    "failed": encode(Failed(told="I\ncannot\x1b[2J")).decode(),
}


def crew(url: str, folder: Path, **given: object) -> Crew:
    return Crew(**{"url": url, "run": "host:/run#1", "folder": folder, "terms": "", "local": 0, "threads": 1, **given})


def deliver(url: str, texts: list[str]) -> threading.Thread:
    """Somebody who answers whatever job is free with one text after the other."""

    def work() -> None:
        board, left = Board(url), list(texts)
        while left:
            claim = board.claim(f"liar-{len(left)}\x1b[2J" if "sqlite" in url else f"liar-{len(left)}")
            if claim is not None:
                board.deliver(claim, left.pop(0))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_lies_are_refused_told_and_offered_again(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crew_module, "POLL_S", 0.01)
    display, honest = Heard(), encode(GOOD).decode()
    with crew(url, tmp_path, display=display) as judges:
        for name, lie in LIES.items():
            display.lines.clear()
            answering = deliver(url, [lie, honest])
            assert [each.accuracy for each in judges.judge([job()])] == [0.5], name
            answering.join()
            assert len(display.lines) == 1 and display.lines[0].startswith("candidate-000: the answer of 'liar-2"), name
            assert display.lines[0].endswith("It is offered again") and len(display.lines[0]) < 2300, name
    assert list(tmp_path.glob("*.safetensors")) == []


def test_whoever_only_lies_is_not_waited_for_for_ever(url: str, tmp_path: Path):
    with crew(url, tmp_path) as judges:
        answering = deliver(url, [LIES["accuracy above 1"]] * TRIES)
        with pytest.raises(
            RunError, match=r"candidate-000: 3 answers of workers were refused, .*accuracy.*Resume when"
        ):
            list(judges.judge([job()]))
        answering.join()


def test_whoever_holds_a_job_for_ever_and_goes_on_beating_loses_it(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    with crew(url, tmp_path, held_at_most_s=0.2) as judges:
        taken, stop = threading.Event(), threading.Event()

        def hold() -> None:
            board, claim = Board(url), None
            while not stop.wait(0.02):
                claim = claim or board.claim("holder")
                if claim:
                    board.beat(claim)
                    taken.set()

        def answer() -> None:
            assert taken.wait(60)
            deliver(url, [encode(GOOD).decode()])

        holding = threading.Thread(target=hold, daemon=True)
        holding.start()
        threading.Thread(target=answer, daemon=True).start()
        assert [each.accuracy for each in judges.judge([job()])] == [0.5]
        stop.set()
        holding.join()


def test_weights_are_where_the_job_leaves_them_and_nowhere_else(tmp_path: Path):
    url, place = f"sqlite:///{tmp_path}/jobs.db", "weights/candidate-000.safetensors"
    (tmp_path / "run" / "weights").mkdir(parents=True)
    (tmp_path / "elsewhere.safetensors").write_bytes(b"")
    display, answer = Heard(), encode(Judgement(accuracy=0.5, seconds=1.0, weights=place)).decode()
    with crew(url, tmp_path / "run", weights_of=lambda job: place, display=display) as judges:
        (tmp_path / "run" / place).symlink_to(tmp_path / "elsewhere.safetensors")
        answering = deliver(url, [answer, encode(GOOD).decode()])
        verdicts = judges.judge([job()])
        waiting = threading.Thread(target=lambda: display.lines.append(str(next(verdicts))), daemon=True)
        waiting.start()
        answering.join()
        while len(display.lines) < 2:
            pass
        assert "are a link that leaves the run's folder" in display.lines[0]
        assert "its weights are None. Allowed: 'weights/candidate-000.safetensors'" in display.lines[1]
        (tmp_path / "run" / place).unlink()
        (tmp_path / "run" / place).write_bytes(b"")
        deliver(url, [answer]).join()
        waiting.join()
        assert "accuracy=0.5" in display.lines[2]


def test_rows_that_a_peer_deletes_or_overwrites_are_restored(url: str, tmp_path: Path):
    with crew(url, tmp_path) as judges:
        verdicts = judges.judge([job(0), job(1)])
        taking = threading.Thread(target=lambda: tell.extend(verdicts), daemon=True)
        tell: list[Judgement] = []
        taking.start()
        board = Board(url)
        while len(board.still_open(judges.run)) < 2:
            pass
        board.withdraw(judges.run)
        deliver(url, [encode(GOOD).decode()] * 2).join()
        taking.join()
        assert [each.accuracy for each in tell] == [0.5, 0.5]


def test_the_second_of_two_that_open_the_same_run_goes_on_and_the_first_is_told(url: str, tmp_path: Path):
    told: list[str] = []

    def wait() -> None:
        try:
            next(verdicts)
        except RunError as error:
            told.append(str(error))

    with crew(url, tmp_path) as first:
        verdicts = first.judge([job()])
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        while not Board(url).still_open(first.run):
            pass
        with crew(url, tmp_path, run="host:/run#2") as second:
            waiting.join()
            answering = deliver(url, [encode(GOOD).decode()])
            assert [each.accuracy for each in second.judge([job()])] == [0.5]
            answering.join()
    assert "was taken off its study: another process has opened the same run" in told[0]
