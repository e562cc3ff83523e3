"""`ridgepoint fit`: the main job."""

from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.output import JsonFlag
from ridgepoint.cli.request import Out, Resume, carry_out
from ridgepoint.fit.settings import FitSettings


@asks(FitSettings, "fit")
def fit(asked: Asked[FitSettings], out: Out = None, resume: Resume = False, json_output: JsonFlag = False) -> None:
    """Find, train and export the most accurate network that meets a latency budget on this device.

    Example: ridgepoint fit photos/ --latency 5ms
    """
    carry_out(asked, out=out, resume=resume, json_output=json_output)
