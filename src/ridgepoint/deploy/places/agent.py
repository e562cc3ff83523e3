"""The agent on a device: it keeps files in a folder of its own, has a worker run them, and leaves nothing behind.

It reads requests from its standard input and ends when that ends, whatever the worker is doing then: the worker is
killed, the folder is removed. No port, no daemon. Runtimes are imported by the worker alone, so that a file that kills
or fills its process costs that process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ridgepoint.deploy.places.wire import MAGIC, Stream
from ridgepoint.system import (
    allowed_cpus,
    board_name,
    cpu_fact,
    cpu_info,
    emulated_by,
    frequency_mhz,
    governor,
    heat,
    left_behind,
    machine_id,
    physical_memory_bytes,
    system_name,
)

PREFIX = "ridgepoint-agent"
SIGNALS = ("SIGHUP", "SIGTERM", "SIGINT")
MOST_KEPT_BYTES = 1 << 30
PACKAGES = {"onnxruntime": "onnxruntime"}
"""The package of each runtime that a worker has sessions of."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}", re.ASCII)
_WORK = "import sys; sys.path.insert(0, sys.argv[1]); from ridgepoint.deploy.places.worker import main; main()"


class Agent:
    """One connection.

    Args:
        stream: To the other side.
        folder: Its own, with the code in it.
        code: The code.
    """

    def __init__(self, stream: Stream, folder: Path, code: Path):
        self.stream, self.folder, self.code = stream, folder, code
        self._lock, self._ending = threading.Lock(), False
        self._worker: subprocess.Popen[bytes] | None = None
        self._relaying: threading.Thread | None = None
        self._asked, self._why = False, ""  # whether the worker owes an answer; why it ended when it owed none
        self._sizes: dict[str, int] = {}

    def serve(self) -> None:
        """Answer until the other side is gone."""
        while (header := self.stream.header()) is not None:
            kind = header["kind"]
            if kind == "hello":
                self.answer({"kind": "hello", **about()})
            elif kind == "put":
                self._put(header)
            else:
                self._pass_on(header)

    def answer(self, header: dict[str, Any]) -> None:
        """Send a message without a payload."""
        with self._lock:
            self.stream.send(header)

    def end(self) -> None:
        """Kill the worker and remove all files."""
        self._ending = True
        if self._worker is not None:
            with contextlib.suppress(OSError):
                self._worker.kill()
            self._worker.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _put(self, header: dict[str, Any]) -> None:
        """Keep a file of an artefact, unless it is there; the digest tells whether all of it came."""
        artefact, name, wanted, size = (header[key] for key in ("artefact", "name", "sha256", "size"))
        if not (_NAME.fullmatch(artefact) and _NAME.fullmatch(name) and name.strip(".")):
            raise ValueError("no name of a file")
        folder = self.folder / artefact
        found, refusal = hashlib.sha256(), ""
        try:
            self._make_room(artefact, size)
            folder.mkdir(exist_ok=True)
            file = (folder / name).open("wb")
        except OSError as error:
            file, refusal = None, self._full(error)
        for chunk in self.stream.chunks(size):
            found.update(chunk)
            if file is not None:
                try:
                    file.write(chunk)
                except OSError as error:
                    refusal, file = self._full(error), self._closed(file)
        try:
            if file is not None:
                file.close()
        except OSError as error:
            refusal = self._full(error)
        if not refusal and found.hexdigest() != wanted:
            refusal = "a file was damaged on its way"
        if refusal:
            shutil.rmtree(folder, ignore_errors=True)
            self._sizes.pop(artefact, None)
            self.answer({"kind": "refused", "message": refusal})
        else:
            self._sizes[artefact] = self._sizes.get(artefact, 0) + size
            self.answer({"kind": "kept"})

    def _make_room(self, artefact: str, size: int) -> None:
        """Remove what came first, until there is room; what a worker has loaded it does not need again."""
        for other in list(self._sizes):
            if sum(self._sizes.values()) + size <= MOST_KEPT_BYTES:
                return
            if other != artefact:
                shutil.rmtree(self.folder / other, ignore_errors=True)
                del self._sizes[other]

    def _full(self, error: OSError) -> str:
        return f"{self.folder} on the device: {error.strerror}. Make room there, or name another folder by TMPDIR"

    @staticmethod
    def _closed(file: Any) -> None:
        with contextlib.suppress(OSError):
            file.close()

    def _pass_on(self, header: dict[str, Any]) -> None:
        """Give a request to the worker, which is begun where there is none."""
        size = header["size"]
        if header["kind"] == "open":
            header = {**header, "path": str(self.folder / header["artefact"] / header["name"])}
            if header["artefact"] not in self._sizes:
                self.answer({"kind": "absent"})
                return
        chunks = self.stream.chunks(size)
        if self._worker is None or self._worker.poll() is not None:
            if self._relaying is not None:
                self._relaying.join()
            if self._why:
                for _ in chunks:
                    pass
                why, self._why, self._worker = self._why, "", None
                self.answer({"kind": "ended", "message": why})
                return
            self._begin_worker()
        assert self._worker is not None and self._worker.stdin is not None
        to_worker, self._asked = Stream(-1, self._worker.stdin.fileno()), True
        try:
            to_worker.send(header, chunks, size=size)
        except BrokenPipeError:  # which the thread that reads its answers tells
            for _ in chunks:
                pass

    def _begin_worker(self) -> None:
        self._worker = subprocess.Popen(
            [sys.executable, "-u", "-B", "-c", _WORK, str(self.code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder)},
            bufsize=0,
        )
        self._relaying = threading.Thread(target=self._relay, args=(self._worker,), daemon=True)
        self._relaying.start()

    def _relay(self, worker: subprocess.Popen[bytes]) -> None:
        """Send the worker's answers on, and tell when it ends without having been told to."""
        assert worker.stdout is not None
        answers = Stream(worker.stdout.fileno(), -1)
        with contextlib.suppress(OSError, ValueError, EOFError):
            while (header := answers.header()) is not None:
                with self._lock:
                    self._asked = header["kind"] == "round"
                    self.stream.send(header, answers.chunks(header["size"]), size=header["size"])
        code = worker.wait()
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not self._ending and self._asked:
            self._asked = False
            with contextlib.suppress(OSError):
                self.answer({"kind": "ended", "message": why})
        else:
            self._why = why


def about() -> dict[str, Any]:
    """What this device is, as far as its system tells."""
    cpus = sorted(allowed_cpus())
    first = cpu_info().split("\n\n")[0]
    temperature_c, _ = heat()
    runtimes = {}
    for name, package in PACKAGES.items():
        with contextlib.suppress(PackageNotFoundError):
            runtimes[name] = version(package)
    return {
        "identity": _identity(first),
        "machine": platform.machine(),
        "emulated_by": emulated_by(),
        "system": system_name(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "cpu_info": f"{first}\nModel : {board_name()}"[:8000] if board_name() else first[:8000],
        "cores": [
            {
                "cpu": cpu,
                "capacity": cpu_fact(cpu, "cpu_capacity"),
                "most_mhz": frequency_mhz(cpu, most=True),
                "governor": governor(cpu),
            }
            for cpu in cpus[:256]
        ],
        "memory_bytes": physical_memory_bytes(),
        "temperature_c": temperature_c,
        "runtimes": runtimes,
    }


def _identity(cpu: str) -> str:
    """The same for the same device, whatever it is called in a network; tells nothing else of it."""
    kept = [line for line in cpu.splitlines() if not re.search("mhz|bogomips", line, re.IGNORECASE)]  # they change
    told = [platform.machine(), *kept]
    return hashlib.sha256("\n".join([*told, machine_id()]).encode()).hexdigest()[:16]


def clear_old() -> None:
    """Remove what agents left here that were killed in a way that nobody can see coming."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*-*"):
        number = folder.name.split("-")[2]
        if number.isdecimal() and left_behind(folder, int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def main(folder: str, code: str) -> None:
    """Serve the standard streams, which nothing else may write to, and end with them."""
    sending = os.dup(1)
    os.dup2(2, 1)
    agent = Agent(Stream(0, sending), Path(folder), Path(code))
    for name in SIGNALS:
        signal.signal(getattr(signal, name), _stop)
    try:
        clear_old()
        os.write(sending, MAGIC)
        agent.serve()
    except (OSError, EOFError, ValueError, KeyError, TypeError, SystemExit):
        pass
    finally:
        try:
            _ignore_signals()  # adb closes the stream and hangs up as well: the second must not disturb the end
        finally:
            agent.end()
            os._exit(0)  # a thread may wait for the other side for ever


def _stop(number: int, frame: object) -> None:
    """End in order, which no further signal disturbs."""
    _ignore_signals()
    raise SystemExit


def _ignore_signals() -> None:
    for name in SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
