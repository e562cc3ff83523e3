"""`ridgepoint bench`: measured latency of zoo networks, YAML files and exported files, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from ridgepoint.cli.output import JsonFlag, console, emit_json


def bench(
    models: Annotated[list[str], typer.Argument(help="Zoo names, network YAML files, or .onnx files.")],
    runtime: Annotated[str, typer.Option(help="The runtime that loads the files.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    size: Annotated[int | None, typer.Option(min=8, help="Input size of networks.  [default: their own]")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="How many turns each model gets.")] = 20,
    json_output: JsonFlag = False,
) -> None:
    """Clock models side by side in interleaved rounds, so that drift of the machine does not decide.

    Example: ridgepoint bench mobilenetv3_small_100 mobilenetv4_conv_small --threads 2
    """
    import tempfile

    import msgspec

    from ridgepoint.arch.zoo import load
    from ridgepoint.cli.live import Live
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.deploy.measure import measure
    from ridgepoint.deploy.runtimes import runtime_version
    from ridgepoint.errors import InputError
    from ridgepoint.nn.build import build
    from ridgepoint.units import format_ms

    runtime_version(runtime)
    display = Live()
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        with display.phase("Export"):
            for index, model in enumerate(models):
                display.progress(index / len(models), model)
                if model.endswith(".onnx"):
                    if not Path(model).is_file():
                        raise InputError(f"{model}: there is no such file")
                    files[model] = Path(model)
                    continue
                network = load(model).at(height=size)
                files[model] = Path(folder) / f"{index}.onnx"
                export_for_timing(build(network), network.input_shape, files[model])
        with display.phase("Measure"):
            found = measure(
                files,
                runtime=runtime,
                threads=threads,
                rounds=rounds,
                progress=lambda done, of: display.progress(done / of, f"round {done} of {of}"),
            )
    if json_output:
        emit_json({name: msgspec.to_builtins(latency) for name, latency in found.items()})
        return
    from rich.table import Table

    table = Table("model", "p50", "p90", "spread", "runs", "file", box=None, pad_edge=False)
    for name, latency in sorted(found.items(), key=lambda item: item[1].ms):
        table.add_row(
            name,
            format_ms(latency.ms),
            format_ms(latency.p90_ms),
            f"{latency.spread:.0%}",
            str(latency.runs),
            f"{latency.file_bytes / 1e6:.2f} MB",
        )
    out = console()
    out.print(table)
    first = next(iter(found.values()))
    out.print(
        f"measured on {first.device}, {first.runtime} {first.runtime_version}, {threads} thread(s), {first.precision}, "
        f"batch 1; {first.rounds} interleaved rounds, corrected for drift by a reference network; "
        "spread: slowest less fastest round over the median"
    )
