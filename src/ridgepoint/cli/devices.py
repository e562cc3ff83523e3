"""`ridgepoint devices`: the devices that latencies can be predicted for."""

from typing import Any

from ridgepoint.cli.output import JsonFlag, console, emit_json


def devices(json_output: JsonFlag = False) -> None:
    """List the devices that come with ridgepoint, their rates, and how far predictions for them are off.

    Example: ridgepoint devices
    """
    from ridgepoint.cost.device import list_devices, load_device

    known = [load_device(name) for name in list_devices()]
    if json_output:
        emit_json({"devices": [document(device) for device in known]})
        return
    from rich.table import Table

    from ridgepoint.cli.cost_tables import show

    table = Table("device", "ridge point", "peak", "overhead", "error", "holds for", "what", box=None, pad_edge=False)
    for device in known:
        table.add_row(
            device.name,
            f"{device.ridge:g}",
            f"{device.peak / 1e9:.4g} GMAC/s" if device.timed else "not known",
            f"{device.overhead_ms:.2f} ms",
            f"{device.fit.left_out_median_error:.0%}" if device.fit else "not known",
            f"{device.precision}, {device.fused}",
            device.description,
        )
    out = console()
    show(out, table)
    out.print(
        "Ridge point in MACs/byte. Latencies for these devices are predicted from their rates, never measured; the "
        "error is the median over published networks left out of the fit.\n"
        "This machine: --device host, after `ridgepoint calibrate`. Another: --device FILE.yaml with name, source, "
        "peak_macs_per_s, bandwidth_bytes_per_s."
    )


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
