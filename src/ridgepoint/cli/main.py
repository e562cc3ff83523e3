"""`ridgepoint`: the program's entry point, its verbs and its exit codes."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, cast

import typer
import typer.core

from ridgepoint.cli import (
    bench,
    calibrate,
    cost,
    devices,
    distill,
    eval,
    export,
    fit,
    models,
    predict,
    probe,
    report,
    search,
    show,
    sweep,
    train,
    weights,
    worker,
)
from ridgepoint.cli.streams import be_patient, discard
from ridgepoint.errors import InputError, InterruptedRun, RidgepointError, WriteError, stopped_by_user
from ridgepoint.files import cannot_write, writing
from ridgepoint.run.process import as_found


class Verbs(typer.core.TyperGroup):
    """The verbs; what is wrong with a command line is told in a message that can be read, however long the line is."""

    def make_context(self, *given: Any, **named: Any) -> Any:
        """Parse what comes before the verb."""
        with _readable():
            return super().make_context(*given, **named)

    def invoke(self, ctx: Any) -> Any:
        """Parse what comes behind the verb, and run it."""
        with _readable():
            return super().invoke(ctx)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Errors of the parser quote what was typed: no longer, and no other, than our own messages do."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "show") and isinstance(getattr(error, "message", None), str):
            cast(Any, error).message = str(InputError(cast(Any, error).message))
        raise


app = typer.Typer(
    name="ridgepoint",
    cls=Verbs,
    help="Fit a vision network to a device: images, a device and a latency budget in; the most accurate network that "
    "meets the budget, measured on the exported file, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ridgepoint {version('ridgepoint')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Fit a vision network to a device: images, a device and a latency budget in; the most accurate network out."""


VERBS: dict[str, Callable[..., None]] = {
    "fit": fit.fit,
    "search": search.search,
    "worker": worker.worker,
    "models": models.models,
    "weights": weights.weights,
    "show": show.show,
    "devices": devices.devices,
    "cost": cost.cost,
    "sweep": sweep.sweep,
    "calibrate": calibrate.calibrate,
    "bench": bench.bench,
    "probe": probe.probe,
    "train": train.train,
    "distill": distill.distill,
    "export": export.export,
    "eval": eval.evaluate,
    "predict": predict.predict,
    "report": report.report,
}
for name, verb in VERBS.items():
    app.command(name)(verb)


def main() -> None:
    """Run a verb; end with 0 done, 2 wrong input, 3 budget or check not met, 130 interrupted, 1 a bug."""
    be_patient()
    with as_found():
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads must not spin while others are timed
        code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:  # the disk that stdout goes to is full
        discard(sys.stdout)
        code = _tell(WriteError(cannot_write("stdout", error)))
    sys.exit(code)


def _run() -> int:
    """The exit code of the verb that the command line names."""
    try:
        with writing("stdout or a file", verb="read or written"):
            app(prog_name="ridgepoint")
    except RidgepointError as error:
        return _tell(error)
    except SystemExit as ended:
        if ended.code == InterruptedRun.exit_code:  # Ctrl-C where there is nothing to go on with
            return _tell(InterruptedRun("stopped"))
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception as error:
        if stopped_by_user(error):
            return _tell(InterruptedRun("stopped"))
        raise
    return 0


def _tell(error: RidgepointError) -> int:
    sys.stderr.write(f"ridgepoint: {error}\n")
    return error.exit_code
