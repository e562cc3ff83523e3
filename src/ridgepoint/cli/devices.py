"""`ridgepoint devices`: the devices that latencies can be predicted for."""

from typing import Any

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.cli.table import print_table


def devices(json_output: JsonFlag = False) -> None:
    """List the devices that come with ridgepoint, their rates, and how far predictions for them are off.

    Example: ridgepoint devices
    """
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
