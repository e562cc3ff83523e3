"""`ridgepoint calibrate`: measure this machine's latency table ahead of need."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, emit_json


def calibrate(
    runtime: Annotated[str, typer.Option(help="The runtime to measure with.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Zoo names or YAML files whose blocks to measure.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="The table's file.  [default: in the user's cache folder]")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Measure blocks of networks one by one in the runtime; kept per machine, runtime, version and threads.

    Searches measure what they still lack, so this only saves them time.

    Example: ridgepoint calibrate --threads 1 --model mobilenetv4_conv_small
    """
    from ridgepoint.arch.zoo import load
    from ridgepoint.cli.live import Live
    from ridgepoint.cost.table import row_key
    from ridgepoint.deploy.calibrate import HostTable, default_networks

    display = Live()
    networks = [load(name) for name in models] if models else default_networks()
    with display.phase("Calibrate"):
        host = HostTable(runtime=runtime, threads=threads, path=table)
        blocks = {row_key(block): block for network in networks for block in host.table.missing(network)}
        host.measure_blocks(
            list(blocks.values()), progress=lambda done, of: display.progress(done / of, f"block {done} of {of}")
        )
    rows = [{"name": network.name, "tabled_ms": host.latency(network).ms} for network in networks]
    document = {
        "table": str(host.path),
        "rows": len(host.table.rows),
        "measured_now": len(blocks),
        "overhead_ms": host.table.overhead_ms,
        "networks": rows,
    }
    if json_output:
        emit_json(document)
        return
    typer.echo(f"{host.path}: {document['rows']} rows, {len(blocks)} measured now")
    for row in rows:
        typer.echo(f"  {row['name']:>28}  {row['tabled_ms']:.3g} ms by the table")
