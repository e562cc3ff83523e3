"""What runs say at their end on a terminal: the verdict of their page, in a few lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ridgepoint.cli.output import console
from ridgepoint.cli.table import print_table

WORDS = ("", "network", "what it is")
NUMBERS = ("test", "balanced", "undisturbed", "p90", "of budget", "epochs", "params", "MACs")
DEVICES = ("device", "runtime", "budget", "takes", "of budget", "met", "its budget costs", "best for it alone")
PREDICTED = ("test", "balanced", "predicted", "at most", "of budget", "epochs", "params", "MACs")


def tell_fit(folder: Path) -> None:
    """The chosen network against what it had to beat, the verdict, where the files are and what to do next."""
    from ridgepoint.report.compared import compared
    from ridgepoint.report.result import read_run
    from ridgepoint.report.verdict import verdict
    from ridgepoint.units import format_duration

    run = read_run(folder)
    result, found = run.result, verdict(run)
    out = console()
    out.print()
    further = [target.name for target in result.targets[1:]]
    titles = (*WORDS, *(NUMBERS if result.measured else PREDICTED), *further)
    print_table(out, titles, (_cells(row, further) for row in compared(run)), left=WORDS)
    if result.targets:
        out.print()
        print_table(out, DEVICES, map(_on_target, result.targets), left=("device", "runtime", "best for it alone"))
    out.print("\n" + "\n".join(found.sentences))
    if found.guess:
        out.print(found.guess)
    for line in run.part.lines(run.evaluation):
        out.print(line)
    agreed = result.parity
    out.print(
        told_how(result.latency)
        + (
            ""
            if agreed is None or agreed.share is None
            else f" It agrees with its source on {agreed.share:.0%} of {agreed.count}."
        )
    )
    for note in [*result.notes, *result.warnings]:
        out.print(f"note: {note}")
    for name in ("artefact", "architecture", "labels", "report"):
        out.print(f"{name:>13}: {folder / Path(getattr(result, name)).name}")
    out.print(f"{'wall time':>13}: {format_duration(result.wall_s or 0.0)}")
    out.print("Next:")
    for step in found.steps:
        out.print(f"  {step.why}: {step.command}")


def told_how(latency: Any) -> str:
    """Where a latency comes from, in a sentence."""
    if latency.kind == "predicted":
        return f"Predicted for {latency.device}: {latency.method}."
    return (
        f"Measured: the fastest tenth of {latency.runs} runs of the exported file with {latency.runtime} "
        f"{latency.runtime_version}, {latency.threads} thread(s), {latency.precision}."
    )


def tell_training(folder: Path) -> None:
    """How good a trained network is, what it is to be held against, and what to do next."""
    from ridgepoint.report.training import read_training, training_verdict

    training = read_training(folder)
    found = training_verdict(training)
    out = console()
    out.print("\n".join(found.sentences))
    if found.guess:
        out.print(found.guess)
    for line in training.part.training_lines(training.result):
        out.print(line)
    out.print(f"{folder}: weights, metrics, report.html")
    out.print("Next:")
    for step in found.steps:
        out.print(f"  {step.why}: {step.command}")


def _on_target(target: Any) -> list[str]:
    from ridgepoint.units import format_ms

    latency, alone = target.latency, target.alone
    return [
        target.name,
        f"{target.runtime}, {target.precision}",
        format_ms(target.budget_ms),
        "nothing ships" if latency is None else f"{format_ms(latency.ms)} {latency.kind}",
        "" if target.share is None else f"{100 * target.share:.0f} %",
        "yes" if target.met else "no",
        "not known" if target.cost is None else f"{100 * target.cost:.1f} points",
        "not looked at" if alone is None else f"{alone.network} ({_share(alone.score)} by {alone.by})",
    ]


def _cells(row: Any, further: Sequence[str]) -> list[str]:
    from ridgepoint.run.result import bound_ms
    from ridgepoint.units import format_count, format_ms

    return [
        row.tag,
        row.name,
        row.about,
        _share(row.accuracy.artefact),
        _share(row.accuracy.balanced),
        format_ms(row.latency.ms),
        format_ms(row.latency.p90_ms if row.latency.kind == "measured" else bound_ms(row.latency)),
        f"{100 * row.share:.0f} %",
        "" if row.epochs is None else f"{row.epochs:.3g}",
        format_count(row.params),
        format_count(row.macs),
        *(format_ms(row.elsewhere[name].ms) if name in row.elsewhere else "" for name in further),
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
