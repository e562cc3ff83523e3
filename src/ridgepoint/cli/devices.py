"""`ridgepoint devices`: the devices that latencies can be predicted for."""

from typing import Annotated, Any

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.cli.table import print_table

Probe = Annotated[str | None, typer.Option(help="Tell instead what a device is: ssh://USER@HOST.")]


def devices(probe: Probe = None, json_output: JsonFlag = False) -> None:
    """List the devices that come with ridgepoint, their rates, and how far predictions for them are off.

    Example: ridgepoint devices
    """
    if probe is not None:
        _probe(probe, json_output)
        return
    from ridgepoint.cost.device import list_devices, load_device

    known = [load_device(name) for name in list_devices()]
    if json_output:
        emit_json({"devices": [document(device) for device in known]})
        return
    out = console()
    titles = ("device", "ridge point", "peak", "overhead", "error", "rank", "holds for", "what")
    print_table(out, titles, map(_cells, known), left=("device", "holds for", "what"))
    out.print(
        "Ridge point in MACs/byte; none: no limit of the memory shows in the latencies.\n"
        "Latencies here are predicted from a device's rates, never measured. Error (median) and rank (Spearman) "
        "are of published networks whose whole family was left out of the fit.\n"
        "This machine: --device host, after `ridgepoint calibrate`. Another: --device FILE.yaml with name, source, "
        "peak_macs_per_s, bandwidth_bytes_per_s."
    )


def _probe(name: str, json_output: bool) -> None:
    """What a device says of itself, and where its latency table is or will be."""
    import msgspec

    from ridgepoint.deploy.calibrate import table_path
    from ridgepoint.deploy.places.find import find_device

    device = find_device(name)
    told = {"name": device.name, "device": device.device, **msgspec.to_builtins(device.hello)}
    told |= {"tables": {runtime: str(table_path(runtime, 1, device)) for runtime in device.hello.runtimes}}
    if json_output:
        emit_json(told)
        return
    hello, out = device.hello, console()
    memory = "not known" if hello.memory_bytes is None else f"{hello.memory_bytes / 1e9:.1f} GB"
    runtimes = ", ".join(f"{runtime} {version}" for runtime, version in hello.runtimes.items())
    mhz = sorted({core.most_mhz for core in hello.cores if core.most_mhz})
    governors = sorted({core.governor for core in hello.cores if core.governor})
    for what, value in (
        ("processor", f"{device.device}, {hello.machine}"),
        (
            "cores",
            f"{len(hello.cores)}{', at most ' + ', '.join(f'{each:.0f}' for each in mhz) + ' MHz' if mhz else ''}",
        ),
        ("governor", ", ".join(governors) or "not told"),
        ("temperature", "not told" if hello.temperature_c is None else f"{hello.temperature_c:.0f} °C"),
        ("memory", memory),
        ("system", hello.system),
        ("Python", f"{hello.python}, {hello.executable}"),
        ("runtimes", runtimes or f"none; on it: {hello.executable} -m pip install onnxruntime"),
        ("identity", hello.identity),
    ):
        out.print(f"{what:>12}: {value}")


def _cells(device: Any) -> list[str]:
    fit = device.fit
    return [
        device.name,
        f"{device.ridge:g}" if device.ridge else "none",
        f"{device.peak / 1e9:.4g} GMAC/s" if device.timed else "not known",
        overhead(device),
        f"{fit.left_out_median_error:.0%}" if fit else "not known",
        f"{fit.left_out_spearman:.2f}" if fit else "not known",
        f"{device.precision}, {device.fused}",
        device.description,
    ]


def overhead(device: Any) -> str:
    """What a device adds per image or per pass."""
    if device.pass_overhead_us:
        return f"{device.pass_overhead_us:.3g} us/pass"
    return f"{device.overhead_ms:.2f} ms"


def document(device: Any) -> dict[str, Any]:
    """A device as JSON, with the ridge point and peak that its rates give."""
    import msgspec

    return {
        **msgspec.to_builtins(device),
        "ridge_point": device.ridge,
        "peak_macs_per_s": device.peak if device.timed else None,
        "precision": device.precision,
        "fused": device.fused,
    }
