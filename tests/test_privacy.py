"""Nothing about the user is collected or sent: no files of other packages' telemetry, no socket to the internet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import COMMAND, FIT

TELEMETRY = ("ORT_", "HF_", "DO_NOT_TRACK", "RIDGEPOINT_", "XDG_")


def watched(words: list[str], home: Path, **more: str) -> tuple[list[str], list[str]]:
    """Files below a fresh home that are not ridgepoint's, and system calls that reach for the internet."""
    home.mkdir()
    trace = home.parent / f"{home.name}.trace"
    watcher = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,connect,sendto", "-o", str(trace)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(TELEMETRY)}
    env = {**clean, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **more}
    done = subprocess.run(
        [*(watcher if shutil.which("strace") else []), *words],
        env=env,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    calls = trace.read_text().splitlines() if trace.exists() else []
    return [name for name in files if not name.startswith("cache/ridgepoint/")], [c for c in calls if "AF_INET" in c]


def test_the_runtime_would_collect_if_it_were_let(tmp_path: Path):
    """Otherwise the tests here would prove nothing; a runtime that collects no more may skip this."""
    words = [*COMMAND, "bench", "mobilenetv3_small_050", "--size", "32", "--rounds", "8", "--busy"]
    files, _ = watched(words, tmp_path / "home", RIDGEPOINT_ALLOW_TELEMETRY="1")
    if not files:
        pytest.skip("this ONNX Runtime collects nothing")
    assert any("onnxruntime" in name for name in files)


def test_the_api_is_covered_also_where_the_runtime_was_imported_first(tmp_path: Path):
    check = "import sys, os; assert sys.modules['openvino_telemetry'] is None and os.environ['DO_NOT_TRACK'] == '1'"
    for first in ("import ridgepoint, onnxruntime", "import onnxruntime, ridgepoint"):
        subprocess.run([sys.executable, "-c", f"{first}; {check}"], check=True, timeout=120)


def test_what_the_user_has_set_stays(tmp_path: Path):
    code = "import os, ridgepoint; assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "ORT_DISABLE_TELEMETRY": "0"}, check=True, timeout=120
    )


def test_a_whole_fit_leaves_and_sends_nothing(tmp_path: Path):
    assert watched([*COMMAND, *FIT, "--out", str(tmp_path / "run")], tmp_path / "home") == ([], [])
