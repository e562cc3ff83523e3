"""A board of another architecture: Debian's Python and ONNX Runtime for 64-bit Arm, emulated program by program.

    python tests/helpers/arm_board.py [FOLDER]

builds it once, in a minute or two and 250 MB, and prints where it is; tests take it from there. Packages come from the
sources of apt and pip and are unpacked, never installed: none of their scripts runs, nothing is asked of root, nothing
outside the folder changes. It needs a Debian with apt and dpkg. Older emulators than that of Debian 13 end ONNX Runtime
with a segmentation fault.
"""

import argparse
import getpass
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import platformdirs
import pytest

ARCHITECTURE, RELEASE, EMULATORS = "arm64", "bookworm", "trixie"
PACKAGES = (
    "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8", "libgcc-s1", "liblzma5",
    "libpython3.11-minimal", "libpython3.11-stdlib", "libssl3", "libstdc++6", "libuuid1", "python3.11-minimal",
    "zlib1g",
)  # fmt: skip
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
EMULATOR, EMULATES = "qemu-user", "usr/bin/qemu-aarch64"
WHEELS = [f"{name}=={version(name)}" for name in ("numpy", "onnxruntime")]
PLATFORMS = [f"manylinux_2_{number}_aarch64" for number in (17, 24, 26, 27, 28, 31, 34)]
PYTHON = """\
#!/bin/sh
# The device's Python. What it starts as sys.executable is this again, for no system runs programs of another kind.
here=$(cd "${0%/*}" && pwd)
exec "$here/emulator" -cpu cortex-a76 -L "$here/root" -0 "$here/python" \\
  -E PYTHONHOME="$here/root/usr" -E PYTHONPATH="$here/packages" "$here/root/usr/bin/python3.11" "$@"
"""
_RECIPE = json.dumps([ARCHITECTURE, RELEASE, EMULATORS, PACKAGES, EMULATOR, WHEELS, PYTHON])
FOLDER = Path(os.environ.get("RIDGEPOINT_ARM_BOARD") or platformdirs.user_cache_path("ridgepoint") / "arm-board")
"""As it is when this is imported: tests have a cache folder of their own later on."""


class Missing(Exception):
    """What this machine lacks."""


def place(folder: Path = FOLDER) -> Path:
    """Where the board is, or will be; one for each set of versions."""
    return folder.absolute() / hashlib.sha256(_RECIPE.encode()).hexdigest()[:12]


def board_python() -> Path:
    """The Python of the board; skips where none was built."""
    python = place() / "python"
    if not python.is_file():
        pytest.skip("no emulated board is built here (python tests/helpers/arm_board.py)")
    return python


def build(folder: Path = FOLDER) -> Path:
    """The board, which is built if it is not there; as a whole or not at all.

    Raises:
        Missing: If this machine cannot do it; with the reason.
    """
    board = place(folder)
    if not board.exists():
        board.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=board.parent) as made:
            _fill(Path(made) / "board", Path(made))
            try:
                (Path(made) / "board").rename(board)
            except OSError:
                if not board.exists():  # another one was quicker
                    raise
    return board


def _fill(board: Path, work: Path) -> None:
    native = _said("dpkg", "--print-architecture").strip()
    root, emulator, packages = made = board / "root", work / "emulator", work / "packages"
    for folder in made:
        folder.mkdir(parents=True)
    names = [f"{each}:{ARCHITECTURE}/{RELEASE}" for each in PACKAGES] + [f"{EMULATOR}:{native}/{EMULATORS}"]
    _said("apt-get", "download", "--quiet", *names, cwd=packages, env=_apt(work, native))
    for package in packages.iterdir():
        _said("dpkg", "--extract", package, emulator if package.name.startswith(f"{EMULATOR}_") else root)
    shutil.copy(emulator / EMULATES, board / "emulator")
    wheels = work / "wheels"
    _said(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", wheels,
        "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none",
        *(word for each in PLATFORMS for word in ("--platform", each)), *WHEELS,
    )  # fmt: skip
    for wheel in wheels.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(board / "packages")
    (board / "python").write_text(PYTHON)
    (board / "python").chmod(0o755)


def _apt(work: Path, native: str) -> dict[str, str]:
    """An environment in which apt has lists and a state of its own, from the sources that this machine has."""
    mirror = _debian()
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    by = f" signed-by={KEYS}" if KEYS.exists() else ""
    (work / "sources.list").write_text(
        f"deb [arch={ARCHITECTURE}{by}] {mirror} {RELEASE} main\ndeb [arch={native}{by}] {mirror} {EMULATORS} main\n"
    )
    settings = {
        "APT::Architecture": native,
        "APT::Sandbox::User": getpass.getuser(),
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
    }
    lines = [f'{key} "{value}";\n' for key, value in settings.items()]
    architectures = f'#clear APT::Architectures;\nAPT::Architectures {{ "{native}"; "{ARCHITECTURE}"; }};\n'
    (work / "apt.conf").write_text("".join(lines) + architectures)
    environment = {**os.environ, "APT_CONFIG": str(work / "apt.conf")}
    _said("apt-get", "update", "--quiet", env=environment)
    return environment


def _debian() -> str:
    """The address of the mirror of Debian that apt is set up with."""
    if not all(map(shutil.which, ("apt-get", "dpkg"))):
        raise Missing("there is no apt and dpkg here. Build it on a Debian")
    told = _said("apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages")
    for mirror, component in map(str.split, told.splitlines()):
        if component == "main" and mirror.rstrip("/").endswith("/debian"):
            return mirror
    raise Missing("apt's sources name no mirror of Debian. Build it on a Debian")


def _said(*words: object, **more: object) -> str:
    """What a program prints.

    Raises:
        Missing: If it fails.
    """
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise Missing(f"{' '.join(map(str, words[:3]))} ended with {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="Default: the user's cache folder.")
    try:
        print(build(parser.parse_args().folder))
    except Missing as error:
        sys.exit(f"arm_board: {error}")


if __name__ == "__main__":
    main()
