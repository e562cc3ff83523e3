"""`ridgepoint devices`: the devices that latencies can be predicted for."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.output import PAGE, ForceFlag, JsonFlag, console, destination, emit_json
from ridgepoint.cli.table import print_table
from ridgepoint.errors import InputError

Probe = Annotated[str | None, typer.Option(help="Tell instead what a device is: ssh://USER@HOST or adb://SERIAL.")]


Name = Annotated[str | None, typer.Argument(metavar="[DEVICE]", help="Tell of this one: a name, or a device file.")]
Page = Annotated[Path | None, typer.Option(help="Write the device's card here, as one page.")]


def devices(
    device: Name = None, probe: Probe = None, html: Page = None, force: ForceFlag = False, json_output: JsonFlag = False
) -> None:
    """List the devices that come with ridgepoint, their rates, and how far predictions for them are off.

    Example: ridgepoint devices
    """
    if probe is not None:
        if device is not None or html is not None:
            raise InputError(
                "--probe tells of a device at an address, and of nothing else. Leave DEVICE and --html out"
            )
        _probe(probe, json_output)
        return
    if device is not None:
        _card(device, destination(html, option="--html", mark=PAGE, force=force), json_output)
        return
    if html is not None:
        raise InputError(f"--html {html} is of one device. Name it: ridgepoint devices DEVICE --html {html}")
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


def _card(name: str, html: Path | None, json_output: bool) -> None:
    """What is known of one profile: errors by family, and the networks of the zoo on its front."""
    import msgspec

    from ridgepoint.cost.card import device_card
    from ridgepoint.cost.device import load_device

    card = device_card(load_device(name))
    if html is not None:
        from ridgepoint.files import write_atomic
        from ridgepoint.report.device import device_page

        write_atomic(html, device_page(card))
    if json_output:
        found = {"device": document(card.device), "table": card.table, "covered": card.covered if card.table else None}
        lists = {"families": card.families, "networks": card.residuals, "front": card.front}
        emit_json({**found, **msgspec.to_builtins(lists), "html": None if html is None else str(html)})
        return
    _print_card(card)
    if html is not None:
        console().print(f"Page: {html}")


def _print_card(card: Any) -> None:
    from ridgepoint.units import format_ms

    out, device = console(), card.device
    out.print(f"{device.name}: {device.description}\n{device.source}")
    usual, large = device.depthwise_ns_per_mac, device.large_depthwise_ns_per_mac
    if usual or large:
        out.print(
            f"Each MAC of a depthwise convolution takes {usual:.3g} ns more than its roofline says, "
            f"{usual + large:.3g} ns where the kernel is above 5x5."
        )
    if card.residuals:
        rows = [
            [each.family, str(each.networks), f"{each.median_error:.0%}", f"{each.lowest:+.0%} to {each.highest:+.0%}"]
            for each in card.families
        ]
        print_table(out, ("family", "networks", "median error", "errors"), rows, left=("family",))
        out.print(
            f"Each predicted from a fit to all other families; {card.covered} of {len(card.residuals)} lie in the "
            "interval of nine of ten of those."
        )
    else:
        out.print("The latencies behind this profile do not come with ridgepoint: errors by family are not known.")
    rows = [
        [each.name, f"{each.size} px", f"{each.top1:.1f} %", format_ms(each.ms), _between(each)] for each in card.front
    ]
    print_table(out, ("on its front", "input", "top-1", "predicted", "nine of ten"), rows, left=("on its front",))
    out.print(
        f"Of {len(card.zoo)} networks of the zoo with a published accuracy no other one is predicted to be as fast and "
        "published as accurate."
    )


def _between(each: Any) -> str:
    return "not known" if each.low_ms is None else f"{each.low_ms:.3g} to {each.high_ms:.3g} ms"


def _probe(name: str, json_output: bool) -> None:
    """What a device says of itself, and where its latency table is or will be."""
    import msgspec

    from ridgepoint.deploy.calibrate import table_conditions, table_path
    from ridgepoint.deploy.places.find import find_device

    device = find_device(name)
    told = {"name": device.name, "device": device.device, **msgspec.to_builtins(device.hello)}
    told |= {
        "tables": {runtime: str(table_path(table_conditions(runtime, 1, device))) for runtime in device.hello.runtimes}
    }
    if json_output:
        emit_json(told)
        return
    hello, out = device.hello, console()
    memory = "not known" if hello.memory_bytes is None else f"{hello.memory_bytes / 1e9:.1f} GB"
    runtimes = ", ".join(f"{runtime} {version}" for runtime, version in hello.runtimes.items())
    mhz = sorted({core.most_mhz for core in hello.cores if core.most_mhz})
    governors = sorted({core.governor for core in hello.cores if core.governor})
    for what, value in (
        ("processor", device.device if hello.emulated_by else f"{device.device}, {hello.machine}"),
        (
            "cores",
            f"{len(hello.cores)}{', at most ' + ', '.join(f'{each:.0f}' for each in mhz) + ' MHz' if mhz else ''}",
        ),
        ("governor", ", ".join(governors) or "not told"),
        ("temperature", "not told" if hello.temperature_c is None else f"{hello.temperature_c:.0f} °C"),
        ("memory", memory),
        ("system", hello.system),
        ("Python", f"{hello.python}, {hello.executable}" if hello.python else "none named"),
        ("runtimes", runtimes or device.lacking),
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
