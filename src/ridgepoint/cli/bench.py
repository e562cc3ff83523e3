"""`ridgepoint bench`: measured latency of zoo networks, YAML files and exported files, side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.output import PAGE, Busy, ForceFlag, JsonFlag, console, destination, emit_json, end_doubted
from ridgepoint.cli.table import print_table
from ridgepoint.errors import InputError


def bench(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Zoo names, globs, network YAML files, exported files, runs."),
    ],
    runtime: Annotated[
        list[str] | None,
        typer.Option(help="A runtime; give it again for more.  [default: a file's own, onnxruntime for networks]"),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Threads inside one inference; give it again for more.  [default: 1]"),
    ] = None,
    size: Annotated[int | None, typer.Option(min=8, help="Input size of networks.  [default: their own]")] = None,
    device: Annotated[
        str, typer.Option(help="Where they run: 'host', this machine, ssh://USER@HOST or adb://SERIAL.")
    ] = "host",
    rounds: Annotated[int, typer.Option(min=8, help="How many turns each combination gets.")] = 30,
    profile: Annotated[bool, typer.Option("--profile", help="Also tell the time of each kind of operator.")] = False,
    busy: Busy = False,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots here.")] = None,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Clock models side by side in interleaved rounds: time, memory, size, and which of them really differ.

    Every model runs in every runtime named that loads it: onnxruntime takes .onnx files, litert .tflite and so on.
    A file that cannot be run is named at the end, with exit code 2; the others are clocked.

    Example: ridgepoint bench mobilenetv3_small_100 my_model.onnx --runtime onnxruntime --runtime torch --threads 2
    """
    import tempfile

    import msgspec

    from ridgepoint.cli.live import Live
    from ridgepoint.deploy.bench import bench as run
    from ridgepoint.deploy.places.find import find_place
    from ridgepoint.deploy.runtimes import find_runtime
    from ridgepoint.files import write_atomic

    html = destination(html, option="--html", mark=PAGE, force=force)
    runtimes = list(dict.fromkeys(runtime or []))
    place = find_place(device)
    for name in runtimes:
        find_runtime(name, here=not place.bare)
    display = Live()
    with tempfile.TemporaryDirectory() as folder:
        with display.phase("Export"):
            files = _files(models, runtimes, size, Path(folder), display.progress, here=not place.bare)
        with display.phase("Measure"):
            found = run(
                files,
                threads=list(dict.fromkeys(threads or [1])),
                rounds=rounds,
                profile=profile,
                busy=busy,
                place=place,
                progress=display.progress,
            )
    if html is not None:
        from ridgepoint.report.bench import bench_page

        write_atomic(html, bench_page(found))
    if json_output:
        emit_json(msgspec.to_builtins(found))
    else:
        _print(found)
        if html is not None:
            console().print(f"Page: {html}")
    end_doubted(display, found.doubts, busy=busy or bool(found.refused))
    if found.refused:
        raise InputError("; ".join(found.refused.values()) + ". The others were clocked")


def _files(
    models: list[str],
    runtimes: list[str],
    size: int | None,
    folder: Path,
    progress: Callable[[float, str], None],
    *,
    here: bool,
) -> dict[str, list[tuple[str, Path]]]:
    """For each model the runtimes that load it, and the file for each; networks are exported with fresh weights."""
    from ridgepoint.arch.zoo import list_models
    from ridgepoint.cli.networks import load_all
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.deploy.find import find_artefact
    from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, runtimes_for
    from ridgepoint.nn.build import build

    found: dict[str, list[tuple[str, Path]]] = {}
    for index, model in enumerate(models):
        progress(index / len(models), model)
        path = Path(model)
        if path.is_dir() and not runtimes_for(path) and model not in list_models():
            path = find_artefact(path, here=here)[0]
        if runtimes_for(path):
            if not path.exists():
                raise InputError(f"{path}: there is no such file")
            given = runtimes or [find_artefact(path, here=here)[1].name]
            loading = [name for name in given if name in runtimes_for(path)]
            if not loading:
                raise InputError(
                    f"{path}: no --runtime given loads it ({', '.join(runtimes)}). Allowed: "
                    f"{', '.join(runtimes_for(path))}"
                )
            found[model] = [(name, path) for name in loading]
            continue
        for network in load_all([model], input_size=size):
            module = build(network)
            exports: dict[str, Path] = {}
            for name in runtimes or [DEFAULT]:
                suffix = find_runtime(name).suffix
                if suffix not in exports:
                    exports[suffix] = folder / f"{len(found)}{suffix}"
                    export_for_timing(module, network.input_shape, exports[suffix], name)
            clocked = [(name, exports[find_runtime(name).suffix]) for name in runtimes or [DEFAULT]]
            found[model if path.suffix else network.name] = clocked
    return found


def _print(found: Any) -> None:
    from ridgepoint.units import format_ms

    out = console()
    titles = ("model", "runtime", "threads", "undisturbed", "median", "p90", "drift", "machine", "memory", "file")
    print_table(out, titles, map(_cells, found.rows), left=("model", "runtime"))
    for row in found.rows:
        if row.operators:
            told = ", ".join(f"{each.operator} {format_ms(each.ms)}" for each in row.operators[:6])
            out.print(f"{row.name}: {told}")
    for verdict in found.verdicts:
        out.print(f"{verdict.first} / {verdict.second}: {verdict.ratio:.3f}, {verdict}")
    out.print(found.protocol)
    out.print(found.legend)
    if found.verdicts:
        out.print(found.test)


def _cells(row: Any) -> list[str]:
    from ridgepoint.units import format_ms

    latency, memory = row.latency, row.latency.peak_memory_bytes
    return [
        row.model,
        latency.runtime if latency.precision == "float32" else f"{latency.runtime}, {latency.precision}",
        str(latency.threads),
        format_ms(latency.ms),
        format_ms(latency.median_ms),
        format_ms(latency.p90_ms),
        f"{latency.drift:+.0%}",
        _machine(latency),
        "not known" if memory is None else f"{memory / 1e6:.1f} MB",
        f"{latency.file_bytes / 1e6:.1f} MB",
    ]


def _machine(latency: Any) -> str:
    """How much slower than when calm the machine was."""
    if latency.doubt:
        return "in doubt"
    return "not known" if latency.slowdown is None else f"{latency.slowdown:.2f} ×"
