"""A network by name, with or without weights, as a classifier or as feature maps."""

from collections.abc import Sequence
from pathlib import Path

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.errors import InputError
from ridgepoint.files import exists
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.features import FeatureNetwork
from ridgepoint.nn.published import find_published, usual_weights
from ridgepoint.nn.reach import reach
from ridgepoint.nn.weights import load_weights


def create_model(
    network: str | Path | Network,
    *,
    pretrained: bool | str | Path = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> BuiltNetwork | FeatureNetwork:
    """A module for a zoo name, a YAML file or a `Network`.

    Args:
        network: `mobilenetv4_conv_small`, `mobilenetv4_conv_small.e2400_r224_in1k` (a tag of published weights),
            a path to a YAML file, or a `Network`.
        pretrained: False for fresh weights, True for the published ones (`ridgepoint weights` lists them and
            what they want of an input), or a tag of these, a `.safetensors` or `.pth` file, or a hub id such as
            ``hf-hub:timm/mobilenetv2_100.ra_in1k``.
        num_classes: Overrides the network's number of classes; a classifier for another number is left fresh.
        in_channels: Overrides the network's input channels; RGB weights are adapted.
        features_only: Whether to give the feature maps at strides 2, 4, 8, 16, 32 instead of logits.
        out_indices: Which of these maps, all if left open; negative ones count from the end.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.

    Raises:
        ArchitectureError: If the name is unknown (the nearest is suggested) or the network is impossible.
        InputError: If the weights do not fit, are not there, or an argument makes no sense.
    """
    if out_indices is not None and not features_only:
        raise InputError("out_indices chooses feature maps: it needs features_only=True")
    network, tag = _resolve(network)
    model = build(
        network, num_classes=num_classes, in_channels=in_channels, drop_rate=drop_rate, drop_path_rate=drop_path_rate
    )
    if tag is not None and not isinstance(pretrained, bool):
        raise InputError(f"two weights are given: the tag '{tag}' in the name, and pretrained={str(pretrained)!r}")
    if pretrained is not False:
        load_weights(model, _source(network.name, tag if pretrained is True else pretrained))
    return FeatureNetwork(model, out_indices) if features_only else model


def _source(network: str, given: str | Path | None) -> str | Path:
    """A file or hub id: published weights by their tag, the usual ones where none is given; others as they are."""
    if given is None:
        return reach(usual_weights(network)).path
    published = find_published(str(given), network=network)
    if published is not None and published.network == network and not exists(Path(given)):
        return reach(published).path
    return given


def _resolve(network: str | Path | Network) -> tuple[Network, str | None]:
    """The network, and the tag or hub id of its weights where the name carries a tag."""
    if isinstance(network, Network):
        return network, None
    name, _, tag = str(network).partition(".")
    if tag and name in list_models():
        known = find_published(f"{name}.{tag}")
        return load(name), tag if known else f"hf-hub:timm/{name}.{tag}"
    return load(network), None
