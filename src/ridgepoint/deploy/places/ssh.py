"""A device that ssh reaches: the user's own ssh, with the user's own configuration and known hosts."""

import shutil
from functools import partial

from ridgepoint.deploy.places.address import Address
from ridgepoint.deploy.places.bundle import START
from ridgepoint.deploy.places.connection import Connection
from ridgepoint.deploy.places.remote import Device
from ridgepoint.deploy.places.said import OF_AGENTS, explained
from ridgepoint.errors import InputError, RidgepointError

OPTIONS = (
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=10"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "ForwardAgent=no"),
    *("-o", "ForwardX11=no"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
)
"""Nobody is asked for passwords; a device that is gone is noticed within half a minute; nothing but the streams leads
there. ControlPath: a shared connection would outlive ours."""

_SAID = (
    (
        "host key verification failed",
        "ssh does not know its host key, or another one than it had. See to it by hand: {hand}",
    ),
    ("remote host identification has changed", "its host key is another one than it had. See to it by hand: {hand}"),
    ("permission denied", "ssh lets us in with no key. Try {hand}, and: ssh-copy-id {target}"),
    ("too many authentication failures", "ssh lets us in with no key. Try {hand}"),
    ("could not resolve", "there is no host of this name"),
    ("name or service not known", "there is no host of this name"),
    ("connection refused", "no ssh server answers there. Is the port right, and sshd running?"),
    ("no route to host", "it cannot be reached. Is it on, and in this network?"),
    ("network is unreachable", "it cannot be reached. Is it on, and in this network?"),
    ("timed out", "it does not answer. Is it on, and in this network?"),
    *OF_AGENTS,
)


def connect(address: Address) -> Device:
    """The device at an address, with an agent on it.

    Raises:
        InputError: If it cannot be reached, or lacks something; with what to do.
    """
    ssh = shutil.which("ssh")
    if ssh is None:
        raise InputError(f"{address}: there is no ssh on this machine. Install OpenSSH's client")
    begin = f"exec {address.python} -u -c '{START}'"
    command = [ssh, *OPTIONS, *address.words, begin]
    return Device(Connection(command, str(address), partial(_failed, address)), str(address))


def _failed(address: Address, said: str, code: int | None) -> RidgepointError:
    """What the program said, in a sentence with what to do."""
    target = f"{address.user}@{address.host}" if address.user else address.host
    base = str(address).removesuffix(address.python) if address.python.startswith("/") else str(address)
    words = {"hand": address.by_hand, "target": target, "python": address.python, "address": base}
    return explained(str(address), _SAID, words, said, code, program="ssh")
