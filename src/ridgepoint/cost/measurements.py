"""A user's own measurements of networks on a device: a CSV file of a few rows, read strictly.

    network,size,ms
    mobilenetv3_small_100,224,3.1
    mobilenetv2_100,,9.8
    mine.yaml,160,5.2

`network` is a name of the zoo, or a YAML file in the same folder; `size`, pixels of a side, may be left out or open.
"""

import csv
import io
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.errors import ArchitectureError, InputError, nearest, shown
from ridgepoint.files import read_file
from ridgepoint.units import format_ms, parse_quantity

COLUMNS = ("network", "size", "ms")
NEEDED = ("network", "ms")
LEAST_ROWS, MOST_ROWS, LARGEST_BYTES = 5, 1000, 1 << 20
SMALLEST_PX, LARGEST_PX = 8, 4096
SAME = 1.25  # times the shorter one: two times of one network that are further apart contradict each other
SPREAD = 2.0  # times the MACs of the smallest: networks that are all alike do not tell what another takes
LEAST_MACS_PER_S, MOST_MACS_PER_S = 1e7, 1e15  # from a microcontroller to a server's accelerator


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A network at a size, and the milliseconds of one image; `line` of the file says where that stands."""

    network: Network
    ms: float
    line: int

    @property
    def told(self) -> str:
        """Network and size in words."""
        return f"{self.network.name} at {self.network.input[1]} px"


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """The measurements of a file; of a network that is in it several times, the median.

    Raises:
        InputError: Naming the line, what was given and what is allowed: if the file is no such table, a network is
            unknown, a time is none or cannot be of milliseconds, rows contradict each other, are too few or too alike.
    """
    rows = [_measurement(path, line, row) for line, row in _rows(path)]
    found = [_joined(path, each) for each in _of_network(rows).values()]
    expect_spread(found, str(path))
    return tuple(found)


def expect_spread(found: Sequence[Measurement], where: str) -> None:
    """Refuse measurements that are too few, or of networks too alike, to tell of others.

    Raises:
        InputError: Saying what is needed.
    """
    if len(found) < LEAST_ROWS:
        raise InputError(
            f"{where}: has {len(found)} networks. Needed: {LEAST_ROWS} or more that differ, small and large ones"
        )
    macs = [cost(each.network, form="deploy").macs for each in found]
    if max(macs) < SPREAD * min(macs):
        raise InputError(
            f"{where}: the largest network has {max(macs) / min(macs):.2f} times the MACs of the smallest, so nothing "
            f"tells how times grow. Needed: {SPREAD:g} times or more; add a smaller or a larger network, or input size"
        )


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells by column, of every row that holds something."""
    try:
        text = read_file(path, limit_bytes=LARGEST_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text), strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV file ({error}). Needed: the columns {', '.join(COLUMNS)}") from None
    lines = [(number, row) for number, row in lines if any(row) and not row[0].startswith("#")]
    if not lines:
        raise InputError(
            f"{path}: is empty. Needed: a row of the column names {', '.join(COLUMNS)}, then a row a network"
        )
    (line, titles), *rest = lines
    titles = [title.lower() for title in titles]
    for title in titles:
        if title not in COLUMNS:
            unit = " Times are milliseconds, in the column ms." if "ms" not in titles else ""
            raise InputError(f"{path}:{line}: unknown column {shown(title)}; {nearest(title, COLUMNS)}.{unit}")
    if missing := [each for each in NEEDED if each not in titles]:
        raise InputError(
            f"{path}:{line}: lacks the column {missing[0]}. Needed: {', '.join(NEEDED)}, and size if you like"
        )
    if len(set(titles)) < len(titles):
        raise InputError(f"{path}:{line}: names a column twice. Needed: {', '.join(COLUMNS)}, each once")
    if len(rest) > MOST_ROWS:
        raise InputError(f"{path}: has {len(rest)} rows. Allowed: up to {MOST_ROWS}")
    for number, row in rest:
        if len(row) != len(titles):
            raise InputError(f"{path}:{number}: has {len(row)} cells. Needed: {len(titles)}, {', '.join(titles)}")
    return [(number, dict(zip(titles, row, strict=True))) for number, row in rest]


def _measurement(path: Path, line: int, row: dict[str, str]) -> Measurement:
    where = f"{path}:{line}"
    ms = parse_quantity(row["ms"], what=f"{where}: ms", unit="ms")
    try:
        network = load(_named(path, line, row["network"]))
        if size := row.get("size", ""):
            if not (size.isascii() and size.isdigit() and SMALLEST_PX <= int(size[:9]) <= LARGEST_PX):
                raise InputError(
                    f"{where}: size is {shown(size)}. Allowed: {SMALLEST_PX} to {LARGEST_PX} pixels, or nothing"
                )
            network = network.at(height=int(size))
        macs = cost(network, form="deploy").macs
    except ArchitectureError as error:
        raise InputError(f"{where}: {error}") from None
    if not LEAST_MACS_PER_S < macs / ms * 1e3 < MOST_MACS_PER_S:
        raise InputError(
            f"{where}: {network.name} in {format_ms(ms)} would be {macs / ms * 1e3:.2g} MACs a second. Times are of "
            "one image, in milliseconds"
        )
    return Measurement(network=network, ms=ms, line=line)


def _named(path: Path, line: int, name: str) -> str | Path:
    """A name of the zoo, or a file in the folder of the table, and nowhere else."""
    if not name.endswith((".yaml", ".yml", ".json")):
        return name
    own = (path.parent / name).resolve()
    if not own.is_relative_to(path.parent.resolve()):
        raise InputError(f"{path}:{line}: {shown(name)} lies elsewhere. Put it into the folder of {path.name}")
    return own


def _of_network(rows: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for row in rows:
        found.setdefault(row.network.digest, []).append(row)
    return found


def _joined(path: Path, rows: Sequence[Measurement]) -> Measurement:
    """One measurement from several of the same network."""
    low, high = min(rows, key=lambda row: row.ms), max(rows, key=lambda row: row.ms)
    if high.ms > SAME * low.ms:
        raise InputError(
            f"{path}: {low.told} takes {format_ms(low.ms)} by line {low.line}, {format_ms(high.ms)} by line "
            f"{high.line}. Leave the wrong one out"
        )
    return msgspec.structs.replace(low, ms=statistics.median(row.ms for row in rows))
