"""`ridgepoint cost`: what networks cost, and what that means on a device."""

from typing import Annotated, Any

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.errors import InputError


def cost(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Zoo names, globs or YAML files.")],
    device: Annotated[
        str | None, typer.Option(help="Latency on: a name of `ridgepoint devices`, a YAML file, or host.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every pass, not only totals.")] = False,
    blocks: Annotated[bool, typer.Option("--blocks", help="Show every block, not only totals.")] = False,
    input_size: Annotated[int | None, typer.Option("--input", help="Height and width in pixels.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="int8, float16, float32, w8a16, w8a32; the device's, else float32 (host: or int8)."),
    ] = None,
    form: Annotated[str, typer.Option(help="deploy: folded, as it ships; train: with norms and branches.")] = "deploy",
    fused: Annotated[
        str | None, typer.Option(help="none, activation, residual or block; the device's, else activation.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="With --device host: the runtime.")] = DEFAULT,
    threads: Annotated[int, typer.Option(min=1, help="With --device host: threads inside one inference.")] = 1,
    json_output: JsonFlag = False,
) -> None:
    """Count MACs, parameters and bytes; with --device, tell the latency there: predicted, for `host` from its table.

    Example: ridgepoint cost mobilenetv4_conv_small mobilenetv2_100 --device pixel6-cpu
    """
    import msgspec

    from ridgepoint.cli.networks import load_all
    from ridgepoint.cost.count import CONVENTION, FORMS
    from ridgepoint.errors import nearest

    if form not in FORMS:
        raise InputError(f"--form is '{form}'; {nearest(form, FORMS)}")
    host = _host(runtime, threads, precision) if device == "host" else None
    profile = host.device if host else _profile(device)
    networks = load_all(models, input_size)
    rows = [_row(network, profile, precision, form, fused) for network in networks]
    if host:
        for row, network in zip(rows, networks, strict=True):
            row["predicted"] = row.get("latency")
            row["latency"] = msgspec.to_builtins(host.latency(network))
    if json_output:
        keep = {"layers": layers, "blocks": blocks}
        shown = [{key: value for key, value in row.items() if keep.get(key, True)} for row in rows]
        emit_json({"convention": CONVENTION, "device": device, "models": shown})
        return
    _print(rows, device, profile, layers, blocks)
    console().print(CONVENTION)


def _profile(device: str | None) -> Any:
    from ridgepoint.cost.device import load_device

    return None if device is None else load_device(device)


def _host(runtime: str, threads: int, precision: str | None) -> Any:
    """This machine's table: calibrated, it interpolates; else blocks that it lacks are measured when asked for."""
    from ridgepoint.cost.precision import precision_named
    from ridgepoint.deploy.calibrate import HostTable

    return HostTable(runtime=runtime, threads=threads, tabled=precision_named(precision or "float32").name)


def _row(network: Any, profile: Any, precision: str | None, form: Any, fused: Any) -> dict[str, Any]:
    from ridgepoint.cost.count import cost as count
    from ridgepoint.cost.fusing import fusing_named
    from ridgepoint.cost.precision import precision_named

    widths = precision_named(precision or (profile.precision if profile else "float32"))
    fusing = fusing_named(fused or (profile.fused if profile else "activation"))
    counted = count(network, form=form, fused=fusing)
    weights = counted.weight_bytes(widths.weight, widths.vector)
    trained = count(network)
    row: dict[str, Any] = {
        "name": network.name,
        "input": list(network.input),
        "form": form,
        "fused": fusing,
        "precision": widths.name,
        "macs": counted.macs,
        "params": counted.params,
        "weight_bytes": weights,
        "activation_bytes": counted.activation_bytes(widths.activation),
        "macs_per_byte": counted.intensity(widths),
        "trained": {"macs": trained.macs, "params": trained.params},
        "passes": sum(len(block.layers) for block in counted.blocks.values()),
        "blocks": [_block(path, block, widths) for path, block in counted.blocks.items()],
        "layers": [_layer(layer, widths) for layer in counted.layers],
    }
    return row if profile is None else row | _on(network, profile, widths, form, fusing)


def _block(path: str, block: Any, widths: Any) -> dict[str, Any]:
    moved = block.bytes_moved(widths)
    return {
        "path": path,
        "kind": block.kind,
        "output": str(block.output),
        "macs": block.macs,
        "params": block.params,
        "bytes": moved,
        "macs_per_byte": block.macs / moved,
    }


def _layer(layer: Any, widths: Any) -> dict[str, Any]:
    return {
        "path": layer.path,
        "kind": layer.kind,
        "absorbed": list(layer.absorbed),
        "macs": layer.macs,
        "params": layer.params,
        "weight_bytes": layer.weight_bytes(widths.weight, widths.vector),
        "activation_bytes": layer.activation_bytes(widths.activation),
        "macs_per_byte": layer.intensity(widths),
    }


def _on(network: Any, profile: Any, widths: Any, form: Any, fusing: Any) -> dict[str, Any]:
    """What a device adds to a row: the latency, and the time and bound of every pass."""
    import msgspec

    from ridgepoint.cost.roofline import Roofline

    roofline = Roofline(profile, precision=widths, form=form, fused=fusing)
    timed = roofline.breakdown(network)
    return {
        "latency": msgspec.to_builtins(roofline.latency(network)) if profile.timed else None,
        "time_macs": float(roofline.time_macs(network)),
        "ridge_point": profile.ridge,
        **({"memory_bound_share": _memory_bound(timed)} if profile.ridge else {}),  # 0: no bandwidth is known
        "layers": [msgspec.to_builtins(each) for each in timed],
    }


def _memory_bound(timed: Any) -> float:
    return float(sum(each.share for each in timed if each.bound == "memory"))


def _print(rows: list[dict[str, Any]], device: str | None, profile: Any, layers: bool, blocks: bool) -> None:
    from ridgepoint.cli import cost_tables as tables

    out = console()
    for row in rows if layers or blocks else []:
        out.print(f"{row['name']} at {'x'.join(map(str, row['input']))}, {tables.assumed(row)}")
        if blocks:
            tables.show(out, tables.of_blocks(row))
        if layers:
            tables.show(out, tables.of_layers(row))
    tables.show(out, tables.of_totals(rows, profile.name if profile else device))
    out.print(f"Counts: {tables.assumed(rows[0])}.")
    if device == "host":
        _print_host(out, rows[0])
    elif profile is not None and profile.timed:
        out.print(f"Latency on {profile.name}: predicted, not measured; {rows[0]['latency']['method']}.")
        if "memory_bound_share" in rows[0]:
            out.print("memory-bound: the share of the time in passes that wait for bytes, not for MACs.")
    elif profile is not None:
        out.print(
            f"{profile.name} has a ridge point only, so times are relative: in MACs, its peak being 1. "
            "For milliseconds give peak_macs_per_s in the device file."
        )


def _print_host(out: Any, row: dict[str, Any]) -> None:
    told, predicted = row["latency"], row["predicted"]
    threads = f"{told['threads']} thread{'s' if told['threads'] > 1 else ''}"
    where = f"{told['device']}, {told['runtime']}, {threads}, {told['precision']}"
    out.print(
        f"Latency on {told['place']} ({where}): tabled, the sum of its {told['rows']} blocks, of which "
        f"{len(told['interpolated'])} interpolated from the calibration and the others measured one by one."
    )
    if told["low_ms"] is None:
        out.print("`ridgepoint calibrate` gives every latency an interval; `ridgepoint bench` measures whole networks.")
    else:
        low, high = told["low_ms"] / told["ms"] - 1, told["high_ms"] / told["ms"] - 1
        out.print(
            f"Nine of ten searched networks, left out of the learning, took {low:+.0%} to {high:+.0%} of that. "
            f"By the roofline alone {row['name']} takes {predicted['ms']:.3g} ms; `ridgepoint bench` measures."
        )
