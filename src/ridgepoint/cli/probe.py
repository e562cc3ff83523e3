"""`ridgepoint probe`: what is cheap on this device?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.cli.output import PAGE, Busy, ForceFlag, JsonFlag, console, destination, emit_json, end_doubted
from ridgepoint.deploy.runtimes import DEFAULT


def probe(
    runtime: Annotated[str, typer.Option(help="The runtime to clock with.")] = DEFAULT,
    threads: Annotated[int, typer.Option(min=1, help="Threads inside one inference.")] = 1,
    study: Annotated[
        list[str] | None, typer.Option(help="A study's name; give it again for more.  [default: all]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="How many turns each variant gets.")] = 30,
    busy: Busy = False,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots here.")] = None,
    force: ForceFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Run the papers' building-block studies on this machine: which of their findings hold here? About 3 minutes.

    Studies: activations, h_swish, skips, branches, stems, mixers, reshapes, norms, attention, key_value_stride, groups,
    uib.

    Example: ridgepoint probe --study activations --study attention --html probe.html
    """
    import msgspec

    from ridgepoint.cli.live import Live
    from ridgepoint.deploy.runtimes import find_runtime
    from ridgepoint.deploy.timing import cannot_tell
    from ridgepoint.errors import InputError, nearest
    from ridgepoint.files import write_atomic
    from ridgepoint.probe.run import probe as run
    from ridgepoint.probe.studies import STUDIES

    html = destination(html, option="--html", mark=PAGE, force=force)
    find_runtime(runtime)
    for name in study or ():
        if name not in STUDIES:
            raise InputError(f"unknown study '{name}'; {nearest(name, STUDIES)}")
    chosen = [STUDIES[name] for name in dict.fromkeys(study or STUDIES)]
    display = Live()
    found = run(chosen, runtime=runtime, threads=threads, rounds=rounds, busy=busy, display=display)
    if html is not None:
        from ridgepoint.report.probe import probe_page

        write_atomic(html, probe_page(found))
    if json_output:
        emit_json(msgspec.to_builtins(found))
    else:
        _print(found)
        if html is not None:
            console().print(f"Page: {html}")
    doubted = [f"study {study.name}: {cannot_tell(study.doubt)}" for study in found.studies if study.doubt]
    end_doubted(display, doubted, busy=busy)


def _print(found: Any) -> None:
    from rich.text import Text

    colours = {"holds": "green", "does not hold": "red"}
    out = console()
    for study in found.studies:
        out.print(Text(f"\n{study.title}", style="bold"))
        for finding in study.findings:
            out.print(Text(f"  {finding.claim} ").append(finding.verdict, style=colours.get(finding.verdict, "yellow")))
            out.print(Text(f"    {finding.sentence}", style="dim"))
    out.print(f"\n{found.protocol}")
