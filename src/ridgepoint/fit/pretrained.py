"""Which networks of the zoo given weights belong to."""

import warnings

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.hub import read_weights
from ridgepoint.nn.weights import load_weights


def networks_for(weights: str, closing: Closing, *, channels: int, height: int, width: int) -> list[Network]:
    """The zoo's networks, at the given input, that the weights fill completely; their ends may differ.

    Raises:
        InputError: If the weights cannot be read or fit no network of the zoo.
    """
    elements = sum(tensor.numel() for tensor in read_weights(weights).tensors.values())
    found, reasons = [], {}
    for name in list_models():
        network = load(name).at(channels=channels, height=height, width=width)
        if not closing.fits(network):
            continue
        network = closing.close(network)
        if cost(network.with_classes(1), form="deploy").params > elements:  # without building what is far too large
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # weights that sound like another padding
                load_weights(build(network), weights)
        except (InputError, UserWarning) as error:
            reasons[name] = str(error)
            continue
        found.append(network)
    if not found:
        example = f" For example: {next(iter(reasons.values()))}" if reasons else ""
        raise InputError(f"--weights {weights}: they fill no network of the zoo completely.{example}")
    return found
