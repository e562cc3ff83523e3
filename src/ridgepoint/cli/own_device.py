"""`ridgepoint calibrate --from FILE.csv`: a device of one's own from a few measurements."""

from pathlib import Path
from typing import Any

from ridgepoint.cli.options import Asked
from ridgepoint.cli.output import console, destination, emit_json
from ridgepoint.cli.table import print_table
from ridgepoint.errors import InputError
from ridgepoint.run.settings import Request, ways

MARK = b"# Written by ridgepoint calibrate"
OWN = {"verb", "measured", "out"}


def own_device(asked: Asked[Any], *, force: bool, json_output: bool) -> None:
    """Read the measurements, bring the nearest profile to them, write the device and tell how far it is off.

    Raises:
        InputError: If the measurements are none, contradict each other, or other options are given beside them.
    """
    from ridgepoint.cost.adapting import adapt
    from ridgepoint.cost.device import known_devices, write_device
    from ridgepoint.cost.measurements import read_measurements

    given = asked.settings
    if given.measured is None:
        raise InputError("--out is of --from, which is not given. Give --from FILE.csv, or leave --out out")
    kind: type[Request] = type(given)
    options = ways(kind)
    if others := sorted(asked.named - OWN):
        raise InputError(
            f"--from reads what you measured, and measures nothing: leave {options[others[0]].option} out. "
            "Allowed beside it: --out, --force, --json"
        )
    path = Path(given.measured)
    out = destination(Path(given.out or f"{path.stem}.device.yaml"), option="--out", mark=MARK, force=force)
    if out.suffix not in (".yaml", ".yml"):
        raise InputError(f"--out is {out}. Needed: a file that ends in .yaml, for example {path.stem}.device.yaml")
    measured = read_measurements(path)
    found = adapt(measured, known_devices(), name=path.stem, source=str(path.name))
    write_device(out, found.device, by="calibrate --from")
    if json_output:
        emit_json(_document(found, measured, out))
        return
    _print(found, measured, out)


def _document(found: Any, measured: Any, out: Path) -> dict[str, Any]:
    from ridgepoint.cli.devices import document

    rows = zip(measured, found.before, found.left_out, strict=True)
    return {
        "device_file": str(out),
        "device": document(found.device),
        "near": found.near,
        "factor": found.factor,
        "measurements": [
            {
                "network": each.network.name,
                "size": each.network.input[1],
                "ms": each.ms,
                "near_over_measured": before,
                "left_out_over_measured": left,
            }
            for each, before, left in rows
        ],
    }


def _print(found: Any, measured: Any, out: Path) -> None:
    from ridgepoint.units import format_ms

    rows = [
        [each.network.name, f"{each.network.input[1]} px", format_ms(each.ms), f"{before - 1:+.0%}", f"{left - 1:+.0%}"]
        for each, before, left in zip(measured, found.before, found.left_out, strict=True)
    ]
    said = console()
    print_table(said, ("network", "input", "measured", found.near, "left out"), rows, left=("network",))
    fit, (low, high) = found.device.fit, found.device.interval
    said.print(
        f"Nearest: {found.near}; networks take {found.factor:.3g} times as long here. What was found: {fit.fitted}.\n"
        f"The last column is how far each is off when it is left out, {fit.left_out_median_error:.0%} in the median. "
        f"Nine of ten networks should take {low - 1:+.0%} to {high - 1:+.0%} against what is predicted.\n"
        f"{out}: predict with  ridgepoint cost MODEL --device {out}\n"
        f"{'':>{len(str(out))}}  fit with      ridgepoint fit DATA --latency BUDGET --device {out}"
    )
