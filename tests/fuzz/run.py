"""Fuzz the program: `python tests/fuzz/run.py --count 1000`; every kind, or `--kind NAME`; `--case KIND:SEED:NUMBER`.

Prints a table, or JSON, and every failure; ends with 1 if there is one.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import LIMIT_S, Tally, case_of, fuzz, kinds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", choices=kinds(), help="a kind of input; may be repeated")
    parser.add_argument("--count", type=int, default=1000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="kinds that run side by side")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds that a case may last")
    parser.add_argument("--case", help="KIND:SEED:NUMBER: make that one here, in a folder that is kept, and show it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.case:
        return _show(given.case)
    chosen = given.kind or kinds()

    def run(kind: str) -> Tally:
        with tempfile.TemporaryDirectory() as folder:
            return fuzz(kind, count=given.count, seed=given.seed, folder=Path(folder), limit_s=given.limit)

    with ThreadPoolExecutor(given.jobs) as pool:
        tallies = dict(zip(chosen, pool.map(run, chosen), strict=True))
    print(
        json.dumps({kind: vars(tally) for kind, tally in tallies.items()}, indent=1) if given.json else _table(tallies)
    )
    return int(any(tally.failures for tally in tallies.values()))


def _table(tallies: dict[str, Tally]) -> str:
    lines = [f"{'kind':16} {'cases':>6} {'refused':>8} {'accepted':>9} {'failed':>7} {'slowest':>8} {'memory':>8}"]
    for kind, tally in tallies.items():
        lines.append(
            f"{kind:16} {tally.cases:6} {tally.ended['refused']:8} {tally.ended['accepted']:9} "
            f"{len(tally.failures):7} {tally.slowest_s:6.1f} s {tally.largest_mb:5.0f} MB"
        )
    for tally in tallies.values():
        for failure in tally.failures:
            lines.append(f"\n{failure['kind']}:{failure['case']} {failure['ended']}: {failure.get('words', '')}")
            lines.append(str(failure["why"]))
    return "\n".join(lines)


def _show(case: str) -> int:
    """Make one case and tell how to run it by hand."""
    kind, seed, number = case.split(":")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) / kind / number
    made = case_of(kind, int(seed), int(number), folder)
    print(f"cd {folder}; python -m ridgepoint", *map(repr, map(str, made.words)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
