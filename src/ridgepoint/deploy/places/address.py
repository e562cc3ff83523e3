"""Addresses of devices as people type them: `ssh://user@host:port/path/to/python`, `adb://serial/path/to/python`.

Only the host or the serial is needed. What is typed here becomes words of a command line of ssh or adb and of a shell
on the device, so each part is of letters that mean nothing to any of them, and none begins with a dash.
"""

import re
from dataclasses import dataclass

from ridgepoint.errors import InputError, shown

SCHEME, ADB = "ssh://", "adb://"
_PYTHON = r"(?P<python>(?:/[A-Za-z0-9_.+-]{1,100}){1,30})?/?"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"
_ADDRESS = re.compile(
    rf"ssh://(?:(?P<user>{_NAME})@)?(?P<host>{_NAME}|\[[0-9A-Fa-f:.]{{2,45}}(?:%[A-Za-z0-9]{{1,15}})?\])"
    rf"(?::(?P<port>[0-9]{{1,5}}))?{_PYTHON}",
    re.ASCII,
)
_SERIAL = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}|\[[0-9A-Fa-f:.]{2,45}\]:[0-9]{1,5}"
_ADB_ADDRESS = re.compile(rf"adb://(?P<serial>{_SERIAL}){_PYTHON}", re.ASCII)


@dataclass(frozen=True)
class Address:
    """Where a device is; `python` is what runs the agent there."""

    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"
    answers = True

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


@dataclass(frozen=True)
class AdbAddress:
    """A device by the serial that `adb devices` tells; without a `python` it has no agent, and gives no answers."""

    serial: str
    python: str | None = None

    def __str__(self) -> str:
        return f"{ADB}{self.serial}{self.python or ''}"

    @property
    def answers(self) -> bool:
        """Whether what a file answers there can be looked at."""
        return self.python is not None

    @property
    def by_hand(self) -> str:
        """The command that somebody types to see whether adb gets there."""
        return f"adb -s {self.serial} shell"


def expect_answers(address: Address | AdbAddress) -> None:
    """Refuse a device whose answers nobody sees.

    Raises:
        InputError: If it is one, with what to do instead.
    """
    if not address.answers:
        raise InputError(
            f"{address}: is a phone without Python. Files are only clocked there, so neither parity nor accuracy can "
            f"be checked on it. Calibrate it, ridgepoint calibrate --device {address} --runtime litert, and give "
            f"--device the device file that this writes; or name a Python that adb's shell may run: {address}/path/to/"
            "python"
        )


def is_address(text: str) -> bool:
    """Whether a device is named by where it is."""
    return "://" in text


def read_address(text: str) -> Address | AdbAddress:
    """An address.

    Raises:
        InputError: If it is none.
    """
    if text.startswith(ADB):
        return _read_adb(text)
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        raise InputError(
            f"{shown(text)} is no address of a device. Allowed: ssh://HOST, ssh://USER@HOST:PORT, or with the Python "
            "that has the runtime, ssh://USER@HOST/home/USER/venv/bin/python; a host that ssh's own configuration "
            "knows will do. Of phones: adb://SERIAL"
        )
    port = int(found["port"]) if found["port"] else None
    return Address(found["host"].strip("[]"), found["user"], port, found["python"] or "python3")


def _read_adb(text: str) -> AdbAddress:
    found = _ADB_ADDRESS.fullmatch(text)
    if found is None:
        raise InputError(
            f"{shown(text)} is no address of a device. Allowed: adb://SERIAL, as `adb devices` tells it, or with a "
            "Python that adb's shell may run, adb://SERIAL/data/local/tmp/python/bin/python3"
        )
    return AdbAddress(found["serial"], found["python"])
