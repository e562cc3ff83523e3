"""`ridgepoint models`: the zoo as a table."""

from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json


def models(
    pattern: Annotated[str, typer.Argument(metavar="GLOB", help="Which names, for example 'mobilenetv4*'.")] = "*",
    json_output: JsonFlag = False,
) -> None:
    """List the networks of the zoo with their counts.

    Example: ridgepoint models 'mobilenetv4*'
    """
    from ridgepoint.arch.zoo import list_models, load
    from ridgepoint.cost.count import CONVENTION, cost
    from ridgepoint.errors import InputError, nearest
    from ridgepoint.units import format_count

    names = list_models(pattern)
    if not names:
        raise InputError(f"'{pattern}' matches no model of the zoo; {nearest(pattern.strip('*'), list_models())}")
    rows = []
    for name in names:
        network = load(name)
        train, deploy = cost(network), cost(network, form="deploy")
        rows.append(
            {
                "name": name,
                "input": list(network.input),
                "params": train.params,
                "deploy_params": deploy.params,
                "macs": train.macs,
                "deploy_macs": deploy.macs,
            }
        )
    if json_output:
        emit_json({"convention": CONVENTION, "models": rows})
        return
    from rich.table import Table

    table = Table("model", "input", "params", "deploy", "MACs", "deploy", box=None, pad_edge=False)
    for row in rows:
        counts = [format_count(row[key]) for key in ("params", "deploy_params", "macs", "deploy_macs")]
        table.add_row(row["name"], "x".join(map(str, row["input"])), *counts)
    out = console()
    out.print(table)
    out.print(f"{len(rows)} models. {CONVENTION}")
