"""A local server with the hub's file layout: `/<owner>/<name>/resolve/<revision>/<file>`, and its faults."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

import torch
from forks import forks

from ridgepoint.errors import InputError
from ridgepoint.nn.create import create_model
from ridgepoint.nn.published import Published
from ridgepoint.nn.reach import reach


class HubServer:
    """Serves folders of files as repositories while used as a context.

    `slow_s` seconds pass before every part of a file, only the first `cut` bytes of it are sent, and with `wrong` the
    digest that is told is that of other content.
    """

    def __init__(self, root: Path, *, slow_s: float = 0.0, cut: int | None = None, wrong: bool = False):
        self.root, self.slow_s, self.cut, self.wrong = root, slow_s, cut, wrong
        self.requests: list[str] = []

    def add(self, repository: str) -> Path:
        """The folder of a new repository."""
        folder = self.root / repository
        folder.mkdir(parents=True)
        return folder

    def __enter__(self) -> "HubServer":
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, *, body: bool):
                hub.requests.append(f"{self.command} {self.path}")
                parts = self.path.split("?")[0].strip("/").split("/")
                path = hub.root.joinpath(*parts[:2], *parts[4:])
                if len(parts) < 5 or parts[2] != "resolve" or not path.is_file():
                    missing = not hub.root.joinpath(*parts[:2]).is_dir()
                    self.send_response(404)
                    self.send_header("X-Error-Code", "RepoNotFound" if missing else "EntryNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content = path.read_bytes()
                self.send_response(200)
                digest = hashlib.sha256(content + b"!" * hub.wrong).hexdigest()
                self.send_header("ETag", f'"{digest}"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                sent = content[: hub.cut] if body else b""
                for start in range(0, len(sent), 4096 if hub.slow_s else len(sent) or 1):
                    time.sleep(hub.slow_s)
                    self.wfile.write(sent[start : start + 4096] if hub.slow_s else sent)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # whoever asked has gone
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def elsewhere(task: Callable[..., str], env: Mapping[str, str], *given: object) -> str:
    """What a process of its own says, with that environment: the hub's address is read when its client begins."""
    here, there = forks().Pipe(duplex=False)
    process = forks().Process(target=_say, args=(there, task, env, given))
    process.start()
    there.close()
    said: str = here.recv()
    process.join()
    return said


def reached(row: Published, patience_s: float | None) -> str:
    """Where weights were found, or why not."""
    try:
        found = reach(row, patience_s=patience_s)
    except InputError as error:
        return f"refused {error}"
    return f"{found.where} {found.path}"


def created(name: str, path: Path) -> str:
    """Write the weights of a pretrained model to a file; why there is none, where there is none."""
    try:
        torch.save(create_model(name, pretrained=True).state_dict(), path)
    except InputError as error:
        return str(error)
    return ""


def _say(said: Connection, task: Callable[..., str], env: Mapping[str, str], given: Sequence[object]) -> None:
    os.environ.clear()
    os.environ.update(env)
    with mock.patch("time.sleep"):  # the hub's client waits ever longer before it tries again
        said.send(task(*given))
