"""A fit that searches among int8 files, against a fit in float whose file is then quantised: as fast, which is better?

The file of `fit --latency BUDGET` is quantised whatever it loses (`export --int8 --max-drop 100`). Then
`fit --precision int8` gets as much time, and for its budget what that int8 file takes, times `ROOM`: a fit allows
itself less than its budget, and two clockings of one file differ. All files are clocked side by side at the end.
Every command has one core; a run folder that is done is not fitted again. Published weights are looked for where
RIDGEPOINT_WEIGHTS says.

    python benchmarks/fits_in_int8.py PHOTOS --latency 1.4 --time 300 --seeds 3 > benchmarks/results/fits_in_int8.json
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy.measure import measure

ROOM = 1.1


def asked(*words: str) -> dict:
    """What a command says, on one core."""
    command = [sys.executable, "-m", "ridgepoint", *words, "--json"]
    ended = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if ended.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)}\n{ended.stderr}")
    return json.loads(ended.stdout) if ended.stdout else {}


def read(path: Path) -> dict:
    found: dict = json.loads(path.read_text(encoding="utf-8"))
    return found


def pair(given: argparse.Namespace, seed: int) -> list[dict]:
    """A row for the quantised file of a fit in float, and one for a fit among int8 files."""
    busy = ["--busy"] if given.busy else []
    common = [
        given.data,
        "--seed",
        str(seed),
        "--time",
        f"{given.time}s",
        "--table",
        str(given.runs / "table.json"),
        *busy,
    ]
    plain, own = (given.runs / f"{name} {given.latency} {seed}" for name in ("fit", "int8"))
    verdict = plain / "int8" / "onnxruntime.json"
    if not (plain / "result.json").is_file():
        asked("fit", *common, "--latency", f"{given.latency}ms", "--out", str(plain))
    if not verdict.is_file():
        asked("export", str(plain), "--int8", "--max-drop", "100", *busy)
    gate = read(verdict)
    budget = f"{ROOM * gate['int8_ms']:.4g}ms"
    if not (own / "result.json").is_file():
        asked("fit", *common, "--latency", budget, "--precision", "int8", "--out", str(own))
    rows = [
        {"who": "float, then int8", "file": plain / "int8" / "model.onnx"},
        {"who": "int8", "file": own / "model.onnx"},
    ]
    for row, folder in zip(rows, (plain, own), strict=True):
        result = read(folder / "result.json")
        row |= {"seed": seed, "network": result["network"]["name"], "input": result["network"]["input"][1]}
        row |= {"test": asked("eval", str(row["file"]), given.data)["accuracy"], "wall_s": round(result["wall_s"])}
    rows[0] |= {"test_in_float": read(plain / "result.json")["accuracy"]["artefact"], "gate": gate["outcome"]}
    rows[1] |= {"budget": budget, "met": read(own / "result.json")["met"]}
    print(rows, file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--latency", type=float, required=True, help="the budget of the fit in float, milliseconds")
    parser.add_argument("--time", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/fits_in_int8"))
    parser.add_argument("--busy", action="store_true", help="accept times of a machine that is not calm")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    rows = [row for seed in range(given.seeds) for row in pair(given, seed)]
    clocked = measure({str(row["file"]): row["file"] for row in rows})
    rows = [{**row, "file": str(row["file"]), "ms": round(clocked[str(row["file"])].ms, 4)} for row in rows]
    print(json.dumps({"processor": cpu_name(), "time_s": given.time, "room": ROOM, "rows": rows}))


if __name__ == "__main__":
    main()
