"""`ridgepoint distill`: one network learns what a teacher says to its own views of the images."""

from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.output import JsonFlag
from ridgepoint.cli.training import Out, Resume, tell
from ridgepoint.distill.settings import DistillSettings


@asks(DistillSettings, "distill")
def distill(
    asked: Asked[DistillSettings], out: Out = None, resume: Resume = False, json_output: JsonFlag = False
) -> None:
    """Train a network by a teacher, which is asked once about every view of the images and then no more.

    The mixture decides crops and augmentation: those of the recipe, its mixing and its curriculum are not used.

    Example: ridgepoint distill mobilenetv4_conv_small photos/ --teacher runs/train/resnet --mixture D1:1,D2:1
    """
    from ridgepoint.cli.live import Live
    from ridgepoint.distill.run import run_distillation

    result = run_distillation(asked.settings, out=out, resume=resume, asked=asked.named, display=Live())
    tell(result, json_output=json_output)
