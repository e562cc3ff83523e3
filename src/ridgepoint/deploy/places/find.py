"""From what `--device` says to a place."""

import atexit
import os

from ridgepoint.deploy.places import adb, ssh
from ridgepoint.deploy.places.address import AdbAddress, Address, is_address, read_address
from ridgepoint.deploy.places.phone import Phone
from ridgepoint.deploy.places.place import HOST, LOCAL, Place
from ridgepoint.deploy.places.remote import Device
from ridgepoint.errors import InputError, nearest

_connected: dict[tuple[int, str], Device | Phone] = {}


def find_place(name: str) -> Place:
    """The place of a name; a device is connected to once per process.

    Raises:
        InputError: If there is no such place, or it cannot be reached.
    """
    if name == HOST:
        return LOCAL
    if not is_address(name):
        raise InputError(
            f"--device is '{name}', where nothing can be clocked; "
            f"{nearest(name, [HOST, 'ssh://USER@HOST', 'adb://SERIAL'])}"
        )
    return find_device(name)


def find_device(name: str) -> Device | Phone:
    """The device at an address.

    Raises:
        InputError: If it is no address, or cannot be reached.
    """
    address = read_address(name)
    key = os.getpid(), str(address)
    if key not in _connected or _connected[key].connection.broken:
        _connected[key] = _connect(address)
    return _connected[key]


def _connect(address: Address | AdbAddress) -> Device | Phone:
    if isinstance(address, Address):
        return ssh.connect(address)
    return adb.connect(address) if address.answers else Phone(adb.Adb(address))


def _close_all() -> None:
    for (process, _), device in _connected.items():
        if process == os.getpid():
            device.close()


atexit.register(_close_all)
