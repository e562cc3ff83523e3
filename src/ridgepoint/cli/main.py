"""`ridgepoint`: the program's entry point, its verbs and its exit codes."""

import os
import sys

import typer

from ridgepoint.cli import bench, calibrate, cost, devices, eval, fit, models, predict, report, show, sweep
from ridgepoint.errors import RidgepointError

app = typer.Typer(
    name="ridgepoint",
    help="Fit a vision network to a device: images, a device and a latency budget in; the most accurate network that "
    "meets the budget, measured on the exported file, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Fit a vision network to a device: images, a device and a latency budget in; the most accurate network out."""


for name, verb in {
    "fit": fit.fit,
    "models": models.models,
    "show": show.show,
    "devices": devices.devices,
    "cost": cost.cost,
    "sweep": sweep.sweep,
    "calibrate": calibrate.calibrate,
    "bench": bench.bench,
    "eval": eval.evaluate,
    "predict": predict.predict,
    "report": report.report,
}.items():
    app.command(name)(verb)


def main() -> None:
    """Run a verb; end with 0 done, 2 wrong input, 3 budget or check not met, 130 interrupted, 1 a bug."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads must not spin while others are timed
    try:
        app()
    except RidgepointError as error:
        sys.stderr.write(f"ridgepoint: {error}\n")
        sys.exit(error.exit_code)
