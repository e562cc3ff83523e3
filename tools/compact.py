"""Writes JSON with whatever fits in a line on one line: a row of a result is a line of a diff.

python tools/compact.py benchmarks/results/*.json
"""

import json
import sys
from pathlib import Path
from typing import Any

WIDTH = 400


def compact(value: Any, depth: int = 0) -> str:
    """JSON of a value; what is longer than a line has its members on lines of their own, one blank deeper."""
    line = json.dumps(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if len(line) <= WIDTH or not any(isinstance(each, dict | list) for each in inside):
        return line
    if isinstance(value, dict):
        members = [f"{json.dumps(key)}: {compact(each, depth + 1)}" for key, each in value.items()]
    else:
        members = [compact(each, depth + 1) for each in value]
    blanks = " " * (depth + 1)
    return f"{line[0]}\n" + ",\n".join(blanks + each for each in members) + f"\n{' ' * depth}{line[-1]}"


def main() -> None:
    """Rewrites the files that are named."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(compact(json.loads(path.read_text(encoding="utf-8"))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
