"""Calibrations killed at random moments, each after another row or more: `python calibration_kills.py [--count 20]`.

After every kill the table can be read and holds all that it held before, unchanged; what goes on ends with every row.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from kills import SMALL, Command, sitting

from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.zoo import load
from ridgepoint.cost.table import LatencyTable, Stored, row_key
from ridgepoint.deploy.calibrate import load_table
from ridgepoint.deploy.runtimes import find_runtime


def kill(count: int, *, seed: int, folder: Path, networks: int = 30) -> dict[str, Stored]:
    """Kill the measuring of many networks' blocks so many times, then let it end; the rows.

    Raises:
        AssertionError: If anything that was kept is lost or changed, or a row is missing at the end.
    """
    files = [folder / f"{number}.yaml" for number in range(networks)]
    for number, file in enumerate(files):
        file.write_text(SMALL.replace("out_channels: 16", f"out_channels: {8 * number + 16}"))
    table, log, rng, known = folder / "table.json", folder / "log.txt", random.Random(seed), {}
    words = ["calibrate", "--table", str(table), "--busy", *(word for file in files for word in ("--model", str(file)))]
    for _ in range(count):
        process = Command(words, stderr=log)
        while _rows(table).keys() <= known.keys() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        found = _rows(table)
        assert found.items() >= known.items(), "a row is lost, or another one than it was"
        known = found
    assert sitting(words, log) == 0, log.read_text()[-2000:]
    found = _rows(table)
    blocks = [block for file in files for block in place_blocks(load(file), deploy=True)]
    assert found.items() >= known.items() and {row_key(each.recipe, each.input) for each in blocks} == set(found)
    return found


def _rows(table: Path) -> dict[str, Stored]:
    if not table.exists():
        return {}
    found: LatencyTable = load_table(table, conditions=find_runtime("onnxruntime").conditions(1))
    return found.rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        rows = kill(given.count, seed=given.seed, folder=Path(place))
    print(f"{given.count} kills, {len(rows)} rows, none lost, in {time.monotonic() - began:.0f} s")
