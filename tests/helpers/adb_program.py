"""A stand-in for the program `adb`, with its command line, its messages, and a device that is a folder of this machine.

    adb devices [-l] | adb -s SERIAL push LOCAL REMOTE | adb -s SERIAL shell [-T] COMMAND

What it says, and what happens on the device's side when a connection ends, is as the source of adb has it: client/
(commandline.cpp, file_sync_client.cpp, adb_client.cpp), transport.cpp and daemon/shell_service.cpp. No phone was asked.
Folders that Android has are looked for below the device's folder, whoever names them. `seen.json` there has the serials
and their states; what is in `push_fails` a push fails with. It needs Python's own library alone.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["ADB_PROGRAM_FOLDER"])
FOLDERS = ("/data/local/tmp", "/sys/devices/system/cpu")
UNAUTHORIZED = (
    "device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\nTry 'adb kill-server' if that seems wrong.\n"
    "Otherwise check for a confirmation dialog on your device."
)
REFUSED = {
    "offline": "device offline",
    "unauthorized": UNAUTHORIZED,
    "no permissions": "insufficient permissions for device: user in plugdev group; are your udev rules wrong?\n"
    "See [http://developer.android.com/tools/device.html] for more information",
    "no server": "cannot connect to daemon",
    "old": "device only supports allocating a pty",
    "closed": "closed",
}


def main(words: list[str]) -> int:
    seen = json.loads((FOLDER / "seen.json").read_text())
    if words[0] == "devices":
        rows = [
            f"{serial:<22} {state} usb:1-1 product:oriole model:Pixel_6 device:oriole transport_id:{number}"
            for number, (serial, state) in enumerate(seen.items(), 1)
        ]
        print("\n".join(["List of devices attached", *(rows if "-l" in words else []), ""]))
        return 0
    assert words[0] == "-s", words
    serial, verb, *words = words[1:]
    state = seen.get(serial)
    if state != "device":
        told = f"device '{serial}' not found" if state is None else REFUSED[state]
        said = f"error: {told}" if verb == "shell" else f"adb: error: failed to get feature set: {told}"
        print(said, file=sys.stderr)
        return 1
    return push(*words) if verb == "push" else shell(words)


def push(local: str, remote: str) -> int:
    fails, there = FOLDER / "push_fails", Path(on_device(remote))
    if fails.exists():
        print(f"adb: error: failed to copy '{local}' to '{remote}': remote {fails.read_text()}", file=sys.stderr)
        return 1
    shutil.copy(local, there)  # with its mode
    print(f"{local}: 1 file pushed, 0 skipped. 31.0 MB/s ({there.stat().st_size} bytes in 0.010s)")
    return 0


def on_device(command: str) -> str:
    for each in FOLDERS:
        command = command.replace(each, f"{FOLDER}{each}")
    return command


def shell(words: list[str]) -> int:
    """Without a terminal: the shell's ends are sockets, and a process of the device's side hangs up on it."""
    assert words[0] == "-T", "with a terminal, line ends and input would change"
    ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
    if os.fork() == 0:
        for each in ours:
            each.close()
        daemon(on_device(" ".join(words[1:])), *theirs)
    for each in theirs:
        each.close()
    return pump(*ours, commands="read -r" in words[-1])


def daemon(command: str, streams: socket.socket, errors: socket.socket, control: socket.socket) -> None:
    os.setsid()
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    device = FOLDER / "bin"
    environment = {
        "PATH": f"{device}:/usr/bin:/bin",
        "TMPDIR": on_device("/data/local/tmp"),
        **{name: os.environ[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ},
    }
    sh = os.environ.get("ADB_PROGRAM_SHELL", "/bin/sh")
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a shell cannot trap what these tests, under nohup, ignore
    process = subprocess.Popen(
        [sh, "-c", command],
        stdin=streams,
        stdout=streams,
        stderr=errors,
        env=environment,
        cwd=FOLDER,
        start_new_session=True,
    )
    streams.close()
    errors.close()
    ended = os.pidfd_open(process.pid)
    if control in select.select([control, ended], [], [])[0] and process.poll() is None:
        process.send_signal(signal.SIGHUP)
    control.send(bytes([process.wait() & 255]))
    os._exit(0)


def pump(streams: socket.socket, errors: socket.socket, control: socket.socket, *, commands: bool) -> int:
    """This side's streams to and from the device, until its ends are closed; a shell's commands name folders."""
    into = {streams.fileno(): 1, errors.fileno(): 2}
    waiting = [0, *into]
    while len(set(waiting) & set(into)):
        for file in select.select(waiting, [], [])[0]:
            try:
                content = os.read(file, 65536)
            except OSError:
                content = b""
            if not content:
                waiting.remove(file)
                if file == 0:
                    streams.shutdown(socket.SHUT_WR)
            elif file == 0:
                try:
                    streams.sendall(on_device(content.decode()).encode() if commands else content)
                except OSError:
                    waiting.remove(0)
            else:
                os.write(into[file], content)
    told = control.recv(1)
    return told[0] if told else 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
