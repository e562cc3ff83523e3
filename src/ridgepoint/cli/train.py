"""`ridgepoint train`: one network on one data set, by a recipe."""

from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.output import JsonFlag
from ridgepoint.cli.training import Out, Resume, tell
from ridgepoint.train.settings import TrainSettings


@asks(TrainSettings, "train")
def train(asked: Asked[TrainSettings], out: Out = None, resume: Resume = False, json_output: JsonFlag = False) -> None:
    """Train a network and say its accuracy on images that the training did not see.

    Several processes share a training where torchrun starts them: torchrun --nproc-per-node 2 -m ridgepoint train ...
    That is for the CPUs of several machines: on the cores of one, the threads of a single process are faster.

    Example: ridgepoint train mobilenetv3_small_050 photos/ --set epochs=20
    """
    from ridgepoint.cli.live import Live
    from ridgepoint.display import Silent
    from ridgepoint.tasks.reading import read
    from ridgepoint.train.processes import joined_by_torchrun
    from ridgepoint.train.run import run_training

    with joined_by_torchrun() as processes:
        display = Live() if processes.first else Silent()
        result = run_training(asked.settings, read=read, out=out, resume=resume, asked=asked.named, display=display)
    if processes.first:
        tell(result, json_output=json_output)
