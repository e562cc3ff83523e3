"""`ridgepoint calibrate`: learn how fast a machine is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.output import ForceFlag, JsonFlag, console, emit_json
from ridgepoint.cli.own_device import own_device
from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.run.settings import BUSY, Above0, AtLeast1, Request, typed


class CalibrateSettings(Request, frozen=True, kw_only=True):
    """One request."""

    verb: Literal["calibrate"] = "calibrate"
    device: Annotated[str, typed(help="What is measured: 'host', this machine, ssh://USER@HOST or adb://SERIAL.")] = (
        "host"
    )
    runtime: Annotated[str, typed(help="The runtime to measure with.")] = DEFAULT
    threads: Annotated[AtLeast1, typed(help="Threads inside one inference.")] = 1
    precision: Annotated[str, typed(help="Of the files that are timed: float32, or int8, which has its own table.")] = (
        "float32"
    )
    time_s: Annotated[
        Above0,
        typed("--time", unit="s", help="Time networks for so long, unless there are enough before."),
    ] = 240.0
    models: Annotated[
        tuple[str, ...],
        typed("--model", help="Instead, measure only the blocks of these zoo networks or YAML files."),
    ] = ()
    table: Annotated[str | None, typed(path=True, help="The table's file.  [default: in the user's cache folder]")] = (
        None
    )
    show: Annotated[bool, typed(help="Only tell what the table holds, how old it is and how busy the machine was.")] = (
        False
    )
    clear: Annotated[bool, typed(help="Only forget all times of this machine and runtime.")] = False
    busy: Annotated[bool, typed(help=BUSY)] = False
    measured: Annotated[
        str | None,
        typed(
            "--from",
            path=True,
            help="Instead, make a device of your own from a few measurements: a CSV file with the columns network, "
            "size and ms.",
        ),
    ] = None
    out: Annotated[str | None, typed(path=True, help="Of --from, the device's file.  [default: NAME.device.yaml]")] = (
        None
    )


@asks(CalibrateSettings, "calibrate")
def calibrate(asked: Asked[CalibrateSettings], force: ForceFlag = False, json_output: JsonFlag = False) -> None:
    """Time random networks in the runtime and learn what every layer takes; kept per machine, runtime and threads.

    Afterwards `--device host` knows any network's latency here, with an interval, and `fit` measures no blocks; with
    `--precision int8`, of int8 files, which `fit --precision int8` goes by. What was interrupted goes on where it was;
    what is done is not repeated. With `--from`, five to twenty times that you have of zoo networks on any device bring
    the nearest known profile to it.

    Example: ridgepoint calibrate --threads 1
    """
    from ridgepoint.cli.live import Live
    from ridgepoint.cost.table import row_key
    from ridgepoint.deploy.calibrate import HostTable, clear_table, owning_table, table_conditions, table_path
    from ridgepoint.deploy.places.find import find_place

    given = asked.settings
    if given.measured is not None or given.out is not None:
        own_device(asked, force=force, json_output=json_output)
        return
    place = find_place(given.device)
    conditions = table_conditions(given.runtime, given.threads, place, given.precision)
    path = Path(given.table) if given.table else table_path(conditions)
    if given.show:
        _show(path, conditions, json_output)
        return
    if given.clear:
        with owning_table(path):
            gone = clear_table(path)
        emit_json({"cleared": gone}) if json_output else console().print("\n".join(["cleared:", *gone]))
        return
    networks = _networks(given.models)
    display = Live()
    with display.phase("Calibrate"), owning_table(path):
        host = HostTable(
            runtime=given.runtime,
            threads=given.threads,
            path=path,
            busy=given.busy,
            precision=given.precision,
            place=place,
            tabled=given.precision,
        )
        before = len(host.table.rows), len(host.table.samples)
        if networks:
            lacking = [block for network in networks for block in host.model.missing(network)]
            blocks = list({row_key(block.recipe, block.input): block for block in lacking}.values())
            host.measure_blocks(blocks, progress=lambda done, of: display.progress(done / of, f"block {done} of {of}"))
        else:
            host.calibrate(time_s=given.time_s, progress=display.progress)
    document = _document(host, networks, before)
    if json_output:
        emit_json(document)
    else:
        _print(document)


def _show(path: Path, conditions: Any, json_output: bool) -> None:
    """What a table holds: how many times of each sort, from when to when, beside how busy a machine."""
    from ridgepoint.cost.table import load_table

    document: dict[str, Any] = {"table": str(path), "exists": path.exists()}
    if path.exists():
        found = load_table(path, conditions=conditions)
        sorts = {"blocks": found.rows.values(), "networks": found.networks.values(), "samples": found.samples}
        document |= {sort: _span(list(times)) for sort, times in sorts.items()}
        document["calibrated"] = found.calibration is not None
    if json_output:
        emit_json(document)
        return
    console().print(f"{path}: {'' if path.exists() else 'nothing is measured yet'}")
    for sort in ("blocks", "networks", "samples"):
        if (span := document.get(sort)) and span["count"]:
            doubted = f", {span['doubted']} in doubt" if span["doubted"] else ""
            console().print(
                f"  {sort}: {span['count']}, {span['first'][:16]} to {span['last'][:16]}, others kept "
                f"{span['load'][0]:.0%} to {span['load'][1]:.0%} of the processors busy{doubted}"
            )


def _span(times: list[Any]) -> dict[str, Any]:
    from datetime import UTC, datetime

    if not times:
        return {"count": 0}
    first, *_, last = sorted([each.at for each in times] * 2)
    loads = [each.load for each in times]
    return {
        "count": len(times),
        "doubted": sum(bool(getattr(each, "doubt", None)) for each in times),
        "first": datetime.fromtimestamp(first, UTC).isoformat(timespec="seconds"),
        "last": datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds"),
        "load": [min(loads), max(loads)],
    }


def _networks(models: Sequence[str]) -> list[Any]:
    from ridgepoint.arch.zoo import load

    return [load(name) for name in models]


def _document(host: Any, networks: list[Any], before: tuple[int, int]) -> dict[str, Any]:
    import msgspec

    from ridgepoint.cli.devices import document

    learned = host.table.calibration
    return {
        "table": str(host.path),
        "rows": len(host.table.rows),
        "samples": len(host.table.samples),
        "measured_now": len(host.table.rows) - before[0],
        "timed_now": len(host.table.samples) - before[1],
        "overhead_ms": host.table.overhead_ms,
        "device": document(learned.device) if learned else None,
        "device_file": str(host.device_path) if learned else None,
        "intervals": _intervals(learned) if learned else None,
        "caveat": host.place.caveat or None,
        "networks": [{"name": each.name, **msgspec.to_builtins(host.latency(each))} for each in networks],
    }


def _intervals(learned: Any) -> dict[str, tuple[float, float]]:
    return {"tabled": learned.tabled, "predicted": learned.device.interval, "measured": learned.measured}


def _print(document: dict[str, Any]) -> None:
    console().print(
        f"{document['table']}: {document['samples']} networks timed ({document['timed_now']} now), "
        f"{document['rows']} blocks measured one by one ({document['measured_now']} now)"
    )
    if document["device"]:
        device = document["device"]
        console().print(
            f"{document['device_file']}: {device['peak_macs_per_s'] / 1e9:.3g} GMAC/s, ridge point "
            f"{device['ridge_point']:.3g} MACs/byte, {device.get('pass_overhead_us', 0.0):.2g} us a pass"
        )
        console().print("Nine of ten searched networks, left out of the learning, took against what was told:")
        for kind, (low, high) in document["intervals"].items():
            console().print(f"  {kind:>9}: {low - 1:+.0%} to {high - 1:+.0%}")
    if document["caveat"]:
        console().print(document["caveat"])
    for network in document["networks"]:
        console().print(f"  {network['name']:>28}  {network['ms']:.3g} ms by the table")
