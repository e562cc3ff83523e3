"""What is sent to a device: the few files of ridgepoint that run there, as one archive, and what unpacks it."""

import functools
import io
import struct
import zipfile
from pathlib import Path

from ridgepoint import errors

ROOT = Path(errors.__file__).parent
FILES = (
    "errors.py",
    "privacy.py",
    "system.py",
    "deploy/cores.py",
    "deploy/disturbance.py",
    "deploy/rounds.py",
    "deploy/turn.py",
    "deploy/runtimes/onnx_options.py",
    "deploy/runtimes/session.py",
    "deploy/places/agent.py",
    "deploy/places/onnx.py",
    "deploy/places/wire.py",
    "deploy/places/worker.py",
)
"""They need Python 3.9, numpy and a runtime, and import nothing else of ridgepoint."""

_PACKAGES = ("", "deploy/", "deploy/runtimes/", "deploy/places/")
_LOADER = """
import os, shutil, signal, sys, tempfile
for name in ("SIGHUP", "SIGTERM", "SIGINT"):  # until there is something to clean up after
    signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.path[:] = [place for place in sys.path if place]
sys.dont_write_bytecode = True
folder = None
try:
    assert sys.version_info >= (3, 9), "Python %d.%d is too old: 3.9 is needed" % sys.version_info[:2]
    import numpy
    folder = tempfile.mkdtemp(prefix="ridgepoint-agent-%d-" % os.getpid())
    code = os.path.join(folder, "agent.zip")
    with open(code, "wb") as file:
        file.write(content)
    sys.path.insert(0, code)
    from ridgepoint.deploy.places.agent import main
except BaseException as error:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit("ridgepoint: %s: %s" % (type(error).__name__, error))
main(folder, code)
"""
START = """
import os,struct
def read(size):
    found = b""
    while len(found) < size:
        more = os.read(0, min(size - len(found), 65536))
        if not more:
            raise SystemExit
        found += more
    return found
sizes = struct.unpack(">II", read(8))
loader, content = map(read, sizes)
exec(loader)
"""
"""What Python is begun with on the device: no quote of a shell's is in it."""


@functools.cache
def bundle() -> bytes:
    """All that goes to a device before the first message: two lengths, the loader, the archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in _PACKAGES:
            archive.writestr(_entry(f"{package}__init__.py"), b"")
        for name in FILES:
            archive.writestr(_entry(name), (ROOT / name).read_bytes())
    loader, content = _LOADER.encode(), made.getvalue()
    return struct.pack(">II", len(loader), len(content)) + loader + content


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"ridgepoint/{name}", date_time=(1980, 1, 1, 0, 0, 0))
