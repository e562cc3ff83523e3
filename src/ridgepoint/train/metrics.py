"""What a training writes down about itself, for programs and for spreadsheets."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ridgepoint.files import write_atomic

METRICS, TABLE = "metrics.jsonl", "metrics.csv"
Row = dict[str, Any]


def write_metrics(folder: Path, rows: Sequence[Row]) -> None:
    """Replace `metrics.jsonl` and `metrics.csv` by these rows; a value that a row does not have is left empty.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    write_atomic(folder / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
    table = io.StringIO()
    writer = csv.DictWriter(table, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / TABLE, table.getvalue())
