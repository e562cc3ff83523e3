"""`ridgepoint models`: the zoo as a table."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json
from ridgepoint.cli.table import print_table

if TYPE_CHECKING:
    from ridgepoint.arch.published import PublishedLatency, PublishedTop1


def models(
    pattern: Annotated[str, typer.Argument(metavar="GLOB", help="Which names, for example 'mobilenetv4*'.")] = "*",
    json_output: JsonFlag = False,
) -> None:
    """List the networks of the zoo: counts as trained and as shipped, published accuracy and where it is from.

    Example: ridgepoint models 'mobilenetv4*'
    """
    from ridgepoint.arch.zoo import list_models
    from ridgepoint.cost.count import CONVENTION
    from ridgepoint.errors import InputError, nearest
    from ridgepoint.units import format_count

    names = list_models(pattern)
    if not names:
        raise InputError(
            f"no model of the zoo matches '{pattern}'; {nearest(pattern.strip('*?'), list_models())}. "
            "A pattern may hold * for any letters, in quotes: 'mobilenetv4*'"
        )
    rows = [_row(name) for name in names]
    if json_output:
        emit_json({"convention": CONVENTION, "models": rows})
        return
    sources: list[str] = []
    cells = []
    for row in rows:
        counts = [format_count(row[key]) for key in ("params", "deploy_params", "macs", "deploy_macs")]
        cells.append([row["name"], _pixels(*row["input"]), *counts, _top1(row, sources)])
    out = console()
    titles = ("model", "px", "params", "deploy", "MACs", "deploy", "top-1 %")
    print_table(out, titles, cells, left=("model", "top-1 %"))
    out.print(f"{len(rows)} models. {CONVENTION}")
    if sources:
        out.print("Top-1 on ImageNet-1k as published, not measured here, with different trainings:")
    for number, source in enumerate(sources, start=1):
        out.print(f"  ({number}) {source}")


def _pixels(channels: int, height: int, width: int) -> str:
    return f"{height}" if height == width else f"{height}x{width}"


def _top1(row: dict[str, Any], sources: list[str]) -> str:
    """The accuracy and the number of its source."""
    if row["published_top1"] is None:
        return ""
    top1, source = row["published_top1"]
    if source not in sources:
        sources.append(source)
    return f"{top1} ({sources.index(source) + 1})"


def _row(name: str) -> dict[str, Any]:
    from ridgepoint.arch.published import published_latencies
    from ridgepoint.arch.zoo import load, published, published_top1
    from ridgepoint.cost.count import cost

    network = load(name)
    train, deploy = cost(network), cost(network, form="deploy")
    top1 = published_top1(name)
    return {
        "name": name,
        "input": list(network.input),
        "params": train.params,
        "deploy_params": deploy.params,
        "macs": train.macs,
        "deploy_macs": deploy.macs,
        "published_top1": [top1.value, top1.source] if top1 else None,
        "published_accuracies": [_plain_top1(row) for row in published(name).top1],
        "published_latencies": [_plain_latency(row) for row in published_latencies(name)],
    }


def _plain_top1(row: "PublishedTop1") -> dict[str, Any]:
    known = {"size": row.size, "top1": row.value, "training": row.training, "source": row.source}
    return known | {"kind": "published"}


def _plain_latency(row: "PublishedLatency") -> dict[str, Any]:
    from msgspec.structs import asdict

    return {key: value for key, value in asdict(row).items() if key != "network"}
