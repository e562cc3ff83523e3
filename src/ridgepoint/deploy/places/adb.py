"""A device that adb reaches: the user's own adb, with the keys that the device has accepted.

`adb shell -T` gives a byte stream without a terminal, over which the end of its input and its exit code come through.
It hands its words to the device's shell as they are, like ssh; when the connection ends, the device's side hangs up on
the shell. Devices older than Android 7 cannot do that.

Source: android.googlesource.com, packages/modules/adb: client/commandline.cpp, daemon/shell_service.cpp.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path

from ridgepoint.deploy.places.address import ADB, AdbAddress
from ridgepoint.deploy.places.bundle import START
from ridgepoint.deploy.places.connection import Connection
from ridgepoint.deploy.places.remote import Device
from ridgepoint.deploy.places.said import CANNOT_RUN, NOT_FOUND, OF_AGENTS, Meanings, explained
from ridgepoint.errors import InputError, RidgepointError, printable

LIST_S, PUSH_S, PUSH_BYTES_PER_S = 30.0, 60.0, 50_000  # the longest that listing, and sending a file, may take
_TEMPORARY = '[ -d /data/local/tmp ] && export TMPDIR="${TMPDIR:-/data/local/tmp}"'  # Android has no /tmp
_APPS = ("/data/data/", "/data/user/")
_UDEV = "its USB port may not be used. Rules of udev must let you (Debian: android-sdk-platform-tools-common)"
_SERVER = "adb's own server does not run. Try: adb kill-server, then adb devices"
_OF_AN_APP = (
    "its {python} belongs to an app, and adb's shell may not run it. With Termux, run its sshd, and here: adb -s "
    "{serial} forward tcp:8022 tcp:8022; then it is --device ssh://127.0.0.1:8022{python}"
)
_GONE = (
    ("unauthorized", "it does not trust this computer. Unlock it and allow USB debugging there; then: adb devices"),
    ("device offline", "it is offline. Plug it in again, or: adb reconnect offline"),
    (
        "more than one",
        "several devices are called so. Name one by its serial, which is the first word of a line of: adb devices -l",
    ),
    ("' not found", "adb sees no such device. {attached}"),
    ("no devices", "adb sees no device. {attached}"),
)
_SAID: Meanings = (
    *_GONE,
    ("insufficient permissions", _UDEV),
    ("no permissions", _UDEV),
    ("permission failure", _UDEV),
    ("cannot connect to daemon", _SERVER),
    ("failed to start daemon", _SERVER),
    ("protocol fault", _SERVER),
    ("allocating a pty", "it is older than Android 7, whose shell has no stream for us. Give another device"),
    ("error: closed", "it closed the connection at once. Try: {hand}"),
    ("bit elf file", "its {python} is for another architecture"),
    ("cannot link executable", "its {python} cannot be loaded there. Try: {hand} {python}"),
    *OF_AGENTS,
)


def connect(address: AdbAddress) -> Device:
    """The device of a serial, with an agent on it.

    Raises:
        InputError: If it cannot be reached, or lacks something; with what to do.
    """
    adb = Adb(address)
    return Device(adb.connection(f"{_TEMPORARY}; exec {address.python} -u -c '{START}'"), str(address))


class Adb:
    """The user's adb, for one device.

    Raises:
        InputError: If there is none.
    """

    def __init__(self, address: AdbAddress):
        found = shutil.which("adb")
        if found is None:
            raise InputError(
                f"{address}: there is no adb on this machine. Install Android's platform tools (Debian: apt install "
                "adb)"
            )
        self.address, self._adb = address, found

    def connection(self, script: str, *, first: bytes | None = None) -> Connection:
        """What is at the other end of a script in the device's shell.

        Raises:
            InputError: If there is nobody.
        """
        command = [self._adb, "-s", self.address.serial, "shell", "-T", script]
        return Connection(command, str(self.address), self._failed, first=first)

    def attached(self) -> str:
        """What adb sees, in a sentence."""
        lines: list[str] = []
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            told = self._run("devices", "-l", limit_s=LIST_S).stdout.partition("List of devices attached")[2]
            lines = [line for line in told.splitlines() if len(line.split()) > 1]
        if not lines:
            return "It sees none: is USB debugging on, and the cable in?"
        seen = ", ".join(f"{ADB}{serial} ({state})" for serial, state, *_ in map(str.split, lines[:8]))
        return f"It sees {printable(seen)}"

    def push(self, path: Path, there: str, *, size: int) -> str | None:
        """Send a file; why that failed, None if it did not."""
        limit_s = PUSH_S + size / PUSH_BYTES_PER_S
        try:
            done = self._run("-s", self.address.serial, "push", str(path.resolve()), there, limit_s=limit_s)
        except subprocess.TimeoutExpired:
            return f"{path.name} was not sent within {limit_s:.0f} s"
        if done.returncode == 0:
            return None
        said = " ".join(printable(done.stderr).splitlines()[-1:]) or f"adb push ended with {done.returncode}"
        if "no space left" in said.lower():
            return f"no room is left for {path.name} on its disk. Make some ({said})"
        return f"{path.name} could not be sent ({said})"

    @staticmethod
    def lost(why: str) -> bool:
        """Whether something failed because the device is gone."""
        marks = (*(mark for mark, _ in _GONE), "closed", "within", "read from device")
        return any(mark in why.lower() for mark in marks)

    def _run(self, *words: str, limit_s: float) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._adb, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )

    def _failed(self, said: str, code: int | None) -> RidgepointError:
        python = self.address.python or ""
        words = {
            "hand": self.address.by_hand,
            "serial": self.address.serial,
            "python": python,
            "address": str(self.address).removesuffix(python),
            "attached": "",
        }
        if any(mark in said.lower() for mark in ("' not found", "no devices")):
            words["attached"] = self.attached()
        meanings = _SAID
        if python.startswith(_APPS) and code in (CANNOT_RUN, NOT_FOUND):
            meanings = (("", _OF_AN_APP),)
        return explained(str(self.address), meanings, words, said, code, program="adb")
