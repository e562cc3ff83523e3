"""`ridgepoint sweep`: which networks are Pareto-optimal at which ridge point."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.output import PAGE, ForceFlag, JsonFlag, console, destination, emit_json
from ridgepoint.cli.table import print_table

_SHOWN = (0, 30, 100, 300, 500)
_ACCURACIES = {
    "first": "Accuracies are published ones, from different recipes, some with a teacher; --accuracy labels has none",
    "labels": "Accuracies are published ones of trainings by ImageNet-1k's labels alone",
    "best": "Accuracies are the best published ones, whatever taught the networks",
}


def sweep(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Zoo names, globs such as '*', or YAML files.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write one interactive page here.")] = None,
    precision: Annotated[str, typer.Option(help="int8, float16, float32, w8a16 or w8a32.")] = "int8",
    fused: Annotated[str, typer.Option(help="none, activation, residual or block.")] = "activation",
    accuracy: Annotated[
        str, typer.Option(help="Which published top-1: first, labels (taught by ImageNet-1k's alone) or best.")
    ] = "first",
    family: Annotated[list[str] | None, typer.Option(help="Networks of this family alone; may be repeated.")] = None,
    most_macs: Annotated[str | None, typer.Option(help="So many MACs as shipped at most, such as 300M.")] = None,
    most_params: Annotated[str | None, typer.Option(help="So many parameters as shipped at most, such as 5M.")] = None,
    open_weights: Annotated[
        bool, typer.Option("--open-weights", help="Networks with weights that may be shipped with a notice alone.")
    ] = False,
    int8_only: Annotated[
        bool, typer.Option("--int8-only", help="Networks of which int8 leaves nothing in float alone.")
    ] = False,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Compare networks at all ridge points from 0 to 500 MACs/byte, by time and published accuracy.

    Example: ridgepoint sweep 'mobilenet*' --html sweep.html
    """
    from ridgepoint.arch.zoo import expect_accuracy
    from ridgepoint.cli.chosen import chosen
    from ridgepoint.cli.networks import load_all
    from ridgepoint.cost.fusing import fusing_named
    from ridgepoint.cost.sweep import sweep as run

    html = destination(html, option="--html", mark=PAGE, force=force)
    networks = chosen(
        load_all(models),
        families=family or (),
        most_macs=most_macs,
        most_params=most_params,
        open_weights=open_weights,
        int8=int8_only,
    )
    swept = run(networks, precision=precision, fused=fusing_named(fused), accuracy=expect_accuracy(accuracy))
    if html is not None:
        _write(html, swept)
    if json_output:
        emit_json(_document(swept, html))
        return
    _print(swept)
    if html is not None:
        console().print(f"Page: {html}")


def _write(html: Path, swept: Any) -> None:
    from ridgepoint.files import write_atomic
    from ridgepoint.report.sweep import sweep_page

    write_atomic(html, sweep_page(swept))


def _document(swept: Any, html: Path | None) -> dict[str, Any]:
    from ridgepoint.arch.zoo import family
    from ridgepoint.cost.count import CONVENTION, cost
    from ridgepoint.cost.eight_bits import in_float
    from ridgepoint.nn.published import licences

    counts = {each.network.name: cost(each.network, form=swept.form) for each in swept.networks}
    return {
        "convention": CONVENTION,
        "form": swept.form,
        "precision": swept.precision.name,
        "fused": swept.fused,
        "accuracy": swept.accuracy,
        "unit": "MACs: time with PeakMACs = 1",
        "ridge_points": list(swept.ridge_points),
        "html": None if html is None else str(html),
        "networks": [
            {
                "name": each.network.name,
                "family": family(each.network.name),
                "input": list(each.network.input),
                "params": counts[each.network.name].params,
                "macs": counts[each.network.name].macs,
                "in_float": list(in_float(each.network)),
                "licences": [licence.words for licence in licences(each.network.name)],
                "top1": each.top1,
                "training": each.training or None,
                "source": each.source or None,
                "times_macs": list(each.times_macs),
                "front_share": each.share if each.top1 is not None else None,
                "front_ranges": [list(stretch) for stretch in swept.ranges(each)],
            }
            for each in swept.networks
        ],
    }


def _print(swept: Any) -> None:
    from ridgepoint.units import format_count

    rows = []
    for each in sorted(swept.networks, key=lambda each: each.times_macs[0]):
        times = [format_count(each.times_macs[swept.ridge_points.index(ridge)]) for ridge in _SHOWN]
        top1 = "not known" if each.top1 is None else f"{each.top1:.1f}"
        ranges = ", ".join(f"{low:g} to {high:g}" if low < high else f"{low:g}" for low, high in swept.ranges(each))
        front = f"{each.share:4.0%}  {ranges}" if each.top1 is not None else ""
        rows.append([each.network.name, top1, *times, front])
    out = console()
    titles = ("model", "top-1", *(f"at {ridge}" for ridge in _SHOWN), "on the front")
    print_table(out, titles, rows, left=("model", "on the front"))
    out.print(
        f"Time at ridge points in MACs/byte, in MACs (PeakMACs = 1): {swept.form} form, {swept.precision.name}, fused: "
        f"{swept.fused}. Predicted, not measured.\n"
        "On the front: the share of ridge points 0..500 at which no other network shown is as fast and as accurate. "
        f"{_ACCURACIES[swept.accuracy]}."
    )
