"""`ridgepoint search`: one method on one space."""

from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.output import JsonFlag
from ridgepoint.cli.request import Out, Resume, carry_out
from ridgepoint.fit.settings import FitSettings
from ridgepoint.search.methods import OF_NETWORKS, OF_SPACES, told_installed

HELP = {
    "space": "A search space by name or YAML file; or a network to change.",
    "method": f"On a space: {', '.join(OF_SPACES)}. On a network: {', '.join(OF_NETWORKS)}. {told_installed()}",
    "weights": "What a network's search starts from: a training's folder, a file, or a hub id.",
}


@asks(FitSettings, "search", first=("latency_ms", "method"), help=HELP)
def search(asked: Asked[FitSettings], out: Out = None, resume: Resume = False, json_output: JsonFlag = False) -> None:
    """Search a space with one method; the best is trained, exported and measured.

    Example: ridgepoint search mobilenetv4_conv photos/ --method evolution --latency 5ms --evaluations 50
    """
    carry_out(asked, out=out, resume=resume, json_output=json_output)
