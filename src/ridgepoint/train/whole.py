"""Published weights whose answers are of use as they are: a whole detector or segmenter, with names of its classes."""

from pathlib import Path

from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.errors import InputError
from ridgepoint.files import exists
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.published import Published, find_published, published_weights
from ridgepoint.nn.reach import reach
from ridgepoint.nn.weights import load_weights
from ridgepoint.train.folder import Known


def find_whole(given: str | Path) -> Published | None:
    """Published weights by name, such as `ssdlite_mobilenetv2_coco.tfjs`; None where that names none, or a file.

    Raises:
        InputError: If they are known, and their classes have no names.
    """
    found = None if exists(Path(given)) else find_published(str(given))
    if found is not None and found.task is None:
        named = ", ".join(row.name for row in published_weights() if row.task is not None)
        raise InputError(
            f"{given}: these published weights have no names for what they answer. Train on images of your own from "
            f"them, or take some that have: {named}"
        )
    return found


def load_whole(published: Published) -> tuple[BuiltNetwork, Known]:
    """The network in eval mode with its published weights, and what an export needs to know.

    Raises:
        InputError: If the weights cannot be had, or are damaged.
    """
    assert published.task is not None
    network = load(published.network)
    model = build(network)
    load_weights(model, reach(published).path)
    channels, height, width = network.input
    preprocessing = Preprocessing(
        height=height,
        width=width,
        channels=channels,
        resize=min(height, width),
        mean=published.normalisation.mean,
        std=published.normalisation.std,
        resizing="squash",
    )
    return model.eval(), Known(labels=published.labels, preprocessing=preprocessing, task=published.task)
