"""An sshd of our own on loopback, with its own keys, as the way to a device; skips where none is installed."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from processes import processes

FREE_S = 20.0


@dataclass(frozen=True)
class Server:
    """Where it is, how ssh gets there, the folder for temporary files that the device has, and its Python."""

    folder: Path
    port: int
    temporary: Path
    python: Path

    @property
    def bare(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """With the Python that has a runtime."""
        return f"{self.bare}{self.python}"

    def agents(self) -> list[int]:
        """The processes of agents and their workers."""
        return [number for number, told in processes().items() if f"TMPDIR={self.temporary}" in told]

    def workers(self) -> list[int]:
        """Those of them that have the runtime."""
        return [
            number for number, told in processes().items() if f"\0{self.temporary}/" in told and "agent.zip" in told
        ]

    def clients(self) -> list[int]:
        """The programs of this side that lead there."""
        return [n for n, words in processes().items() if words.startswith("ssh\0") and f"\0{self.port}\0" in words]

    def wait_until_left(self) -> None:
        """Until nothing of an agent is there any more: no process, no file."""
        until = time.monotonic() + FREE_S
        while self.agents() or list(self.temporary.iterdir()):
            left = [processes().get(number, "")[:200] for number in self.agents()]
            assert time.monotonic() < until, f"left behind: {left}, {list(self.temporary.iterdir())}"
            time.sleep(0.02)


@contextmanager
def ssh_server(folder: Path, *, temporary: Path | None = None, python: Path | None = None) -> Iterator[Server]:
    """Start a server, and have `ssh` find its keys; the device's Python is this one, or another."""
    sshd, ssh = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("ssh")
    if sshd is None or ssh is None:
        pytest.skip("no sshd is installed here (Debian: apt-get install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = temporary or folder / "temporary"
    temporary.mkdir(exist_ok=True)
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nSetEnv TMPDIR={temporary} HOME={folder}\n"
    )
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
        "GlobalKnownHostsFile none\nStrictHostKeyChecking yes\n"
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(f'#!/bin/bash\nexec -a ssh {ssh} -F {folder}/ssh_config "$@"\n')
    (folder / "bin" / "ssh").chmod(0o755)
    log = (folder / "log").open("w")
    server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + FREE_S
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.02)
        with mock.patch.dict(os.environ, {"PATH": f"{folder}/bin:{os.environ['PATH']}"}):
            yield Server(folder, port, temporary, python or Path(sys.executable))
    finally:
        server.terminate()
        server.wait()
        log.close()
