"""What each extra of ridgepoint costs: seconds to install it beside ridgepoint, and bytes that it adds.

    python benchmarks/extras.py --folder /tmp/extras > benchmarks/results/extras.json
    python benchmarks/extras.py --folder /tmp/extras --extras litert litert-convert

Every extra gets an environment of its own, first with ridgepoint alone, then with the extra, by uv: with the versions
of constraints.txt, or, where these exclude each other, with those that fit. All that an extra brings is downloaded
anew. The environments stay. Printed as JSON.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NOT_FOR_USERS = ("test", "docs")


def main() -> None:
    every = [name for name in extras() if name not in NOT_FOR_USERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the environments go")
    parser.add_argument("--extras", nargs="+", choices=every, default=every)
    parser.add_argument("--uv", default="uv")
    options = parser.parse_args()
    rows = []
    for name in options.extras:
        rows.append(installed(name, options.folder / name, options.uv))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"python": platform.python_version(), "rows": rows}, indent=1))


def extras() -> dict[str, list[str]]:
    """What each extra asks for."""
    found: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return found


def installed(name: str, folder: Path, uv: str) -> dict[str, Any]:
    """One extra in an environment of its own; figures are of what it adds."""
    call(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    install = (uv, "pip", "install", "--quiet", "--python", python)
    bound = ("--constraint", str(ROOT / "constraints.txt"))
    call(*install, *bound, str(ROOT))
    before, bytes_before = packages(uv, python), size_bytes(folder)
    wanted, began = ("--no-cache", f"{ROOT}[{name}]"), time.perf_counter()
    constrained = subprocess.run([*install, *bound, *wanted], stderr=subprocess.PIPE, text=True)
    if constrained.returncode:
        began = time.perf_counter()
        call(*install, *wanted)
    seconds = time.perf_counter() - began
    after = packages(uv, python)
    return {
        "extra": name,
        "asks_for": extras()[name],
        "seconds": round(seconds, 1),
        "bytes": size_bytes(folder) - bytes_before,
        "packages": len(after.keys() - before.keys()),
        "changed": {key: [before[key], after[key]] for key in before if after.get(key) not in (None, before[key])},
        "tested_versions": not constrained.returncode,
        "versions": {key: after[key] for key in sorted(after.keys() - before.keys())},
    }


def packages(uv: str, python: str) -> dict[str, str]:
    """Installed packages and their versions."""
    told = subprocess.run(
        [uv, "pip", "list", "--format", "json", "--python", python], check=True, stdout=subprocess.PIPE
    )
    return {each["name"]: each["version"] for each in json.loads(told.stdout) if each["name"] != "ridgepoint"}


def size_bytes(folder: Path) -> int:
    """Of all files of an environment."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def call(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
