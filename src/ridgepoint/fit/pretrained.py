"""Which networks of the zoo given weights belong to."""

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import load_weights


def networks_for(weights: str, *, channels: int, height: int, width: int, num_classes: int) -> list[Network]:
    """The zoo's networks, at the given input, that the weights fill completely; classifiers may differ.

    Raises:
        InputError: If the weights cannot be read or fit no network of the zoo.
    """
    found, reasons = [], {}
    for name in list_models():
        network = load(name).at(channels=channels, height=height, width=width).with_classes(num_classes)
        try:
            load_weights(build(network), weights)
        except InputError as error:
            reasons[name] = str(error)
            continue
        found.append(network)
    if not found:
        example = reasons.get("mobilenetv2_100") or next(iter(reasons.values()))
        raise InputError(f"--weights {weights}: fit no network of the zoo completely. For example: {example}")
    return found
