"""`ridgepoint`: the program's entry point, its verbs and its exit codes."""

import sys

import typer

from ridgepoint.cli import models
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


app.command("models")(models.models)


def main() -> None:
    """Run a verb; end with 0 done, 2 wrong input, 3 budget or check not met, 130 interrupted, 1 a bug."""
    try:
        app()
    except RidgepointError as error:
        sys.stderr.write(f"ridgepoint: {error}\n")
        sys.exit(error.exit_code)
