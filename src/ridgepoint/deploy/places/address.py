"""Addresses of devices as people type them: `ssh://user@host:port/path/to/python`, of which only the host is needed.

What is typed here becomes words of a command line of ssh and of a shell on the device, so each part is of letters that
mean nothing to either, and none begins with a dash.
"""

import re
from dataclasses import dataclass

from ridgepoint.errors import InputError, shown

SCHEME = "ssh://"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"
_ADDRESS = re.compile(
    rf"ssh://(?:(?P<user>{_NAME})@)?(?P<host>{_NAME}|\[[0-9A-Fa-f:.]{{2,45}}(?:%[A-Za-z0-9]{{1,15}})?\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<python>(?:/[A-Za-z0-9_.+-]{1,100}){1,30})?/?",
    re.ASCII,
)


@dataclass(frozen=True)
class Address:
    """Where a device is; `python` is what runs the agent there."""

    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{user}{host}{port}{self.python if self.python.startswith('/') else ''}"

    @property
    def words(self) -> list[str]:
        """What ssh takes."""
        port = ["-p", str(self.port)] if self.port else []
        user = ["-l", self.user] if self.user else []
        return [*port, *user, "--", self.host]

    @property
    def by_hand(self) -> str:
        """The command that somebody types to see whether ssh gets there."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{self.user + '@' if self.user else ''}{self.host}"


def is_address(text: str) -> bool:
    """Whether a device is named by where it is."""
    return "://" in text


def read_address(text: str) -> Address:
    """An address.

    Raises:
        InputError: If it is none.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        raise InputError(
            f"{shown(text)} is no address of a device. Allowed: ssh://HOST, ssh://USER@HOST:PORT, or with the Python "
            "that has the runtime, ssh://USER@HOST/home/USER/venv/bin/python; a host that ssh's own configuration "
            "knows will do"
        )
    port = int(found["port"]) if found["port"] else None
    return Address(found["host"].strip("[]"), found["user"], port, found["python"] or "python3")
