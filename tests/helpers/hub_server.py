"""A local server with the hub's file layout: `/<owner>/<name>/resolve/<revision>/<file>`."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class HubServer:
    """Serves folders of files as repositories while used as a context."""

    def __init__(self, root: Path):
        self.root = root
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
                self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
