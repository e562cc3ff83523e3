"""Weights from elsewhere into our networks, complete and checked; and ours into files that say what they are."""

import json
import logging
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.network import Network
from ridgepoint.errors import InputError
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.hub import read_weights
from ridgepoint.nn.keys import Translation, key_maps, tensor_of, translate
from ridgepoint.nn.published import Normalisation
from ridgepoint.nn.weight_file import WeightFile, check_tensors, without_prefix

LOG = logging.getLogger(__name__)
CLASSIFIER = "head.classifier."
NORMALISATION = "normalisation"
# `tf_mobilenetv3_small_100.in1k`, `mobilenetv2_100.tf_in1k`: names of weights that TensorFlow's padding trained.
TENSORFLOW_NAME = re.compile(r"(?:^|[/._-])tf_")


class WeightsReport(msgspec.Struct, frozen=True):
    """What a load did: whose names the source uses, how many tensors were taken, which were adapted or left fresh.

    `notes` say which of several sets a file holds was taken, and what was left out of names.
    """

    source: str
    naming: str
    tensors: int
    adapted: tuple[str, ...]
    reset: tuple[str, ...]
    notes: tuple[str, ...] = ()


def load_weights(model: BuiltNetwork, source: str | Path | Mapping[str, Tensor]) -> WeightsReport:
    """Fill a model with weights of ours, timm's, torchvision's, the MobileOne authors' or TensorFlow's; all, or none.

    A classifier for another number of classes, or that the weights lack, is left fresh, a first convolution for other
    input channels is adapted (summed for one channel, repeated and rescaled for more), an attention bias for another
    grid is resized, and the batch norms take the epsilon that the weights were trained with where it is known
    (torchvision's MobileNetV3: 1e-3). A head that gives maps or boxes is left fresh where weights have another head.

    Args:
        model: A network of ours, in train form, or in deploy form for weights in deploy form.
        source: A `.safetensors` or `.pth` file, a hub id such as ``hf-hub:timm/mobilenetv2_100.ra_in1k``, or tensors
            by name.

    Returns:
        What was done.

    Raises:
        InputError: If the weights belong to another network or another padding; the message lists what does not fit.
    """
    file = _given(source) if isinstance(source, Mapping) else read_weights(source)
    _check_padding(file, model.network)
    own = model.state_dict()
    translation = translate(model.network, own, file.tensors)
    headless = not any(key.startswith(CLASSIFIER) for key in translation.sources)
    missing = [key for key in translation.missing if not (headless and key.startswith(CLASSIFIER))]
    if (missing or translation.leftover) and _has_another_head(model.network, translation):
        missing = []
    elif missing or translation.leftover:
        raise InputError(_incomplete(file, model.network, translation))
    filled, adapted, reset, wrong = _fit(model.network, own, file, translation)
    reset += [key for key in translation.missing if key not in missing]
    if wrong:
        raise InputError(f"{file.source}: {len(wrong)} tensors do not fit {model.network.name}: {_some(wrong)}")
    model.load_state_dict(filled, strict=False)
    known = key_maps().get(translation.naming)
    eps = file.metadata.get("norm_eps") or (known.norm_eps if known else None)
    if eps is not None and float(eps) != model.network.conventions.norm_eps:
        _set_norm_eps(model, float(eps))
        adapted.append(f"norm_eps={float(eps):g}")
    report = WeightsReport(file.source, translation.naming, len(filled), tuple(adapted), tuple(reset), file.notes)
    LOG.info("%s: %d tensors (names: %s) into %s", file.source, len(filled), translation.naming, model.network.name)
    if reset:
        LOG.info("%s is fresh: the weights are for other answers", ", ".join(reset))
    return report


def _has_another_head(network: Network, translation: Translation) -> bool:
    """Whether weights have all but the head of a network that answers with maps or boxes, and no further body."""
    known = key_maps().get(translation.naming)
    prefix = known.prefix if known else ""
    body = {_first(name, prefix) for key, name in translation.sources.items() if not key.startswith("head.")}
    return (
        network.head.answers != "classes"
        and bool(body)
        and all(key.startswith("head.") for key in translation.missing)
        and not any(_first(name, prefix) in body for name in translation.leftover)
    )


def _first(name: str, prefix: str) -> str:
    """What a tensor is of, at the top."""
    return name.removeprefix(prefix).partition(".")[0]


def _given(tensors: Mapping[str, Tensor]) -> WeightFile:
    check_tensors(tensors, "the given tensors")
    return WeightFile("the given tensors", without_prefix(tensors)[0])


def _set_norm_eps(model: BuiltNetwork, eps: float) -> None:
    """The epsilon belongs to the weights: the same statistics under another one are other affine maps."""
    conventions = msgspec.structs.replace(model.network.conventions, norm_eps=eps)
    model.network = msgspec.structs.replace(model.network, conventions=conventions)
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.eps = eps


def save_weights(model: BuiltNetwork, path: str | Path, *, normalisation: Normalisation | None = None) -> None:
    """Write a model's tensors as safetensors, with the facts that loading must check as metadata.

    Equal models give equal files, byte for byte.

    Args:
        model: Whose tensors.
        path: Where the file goes.
        normalisation: What they were trained with, where that is to travel with them.
    """
    from safetensors.torch import save

    conventions = model.network.conventions
    metadata = {"format": "pt", "network": model.network.name, "padding": conventions.padding}
    tensors = {key: value.detach().contiguous().cpu() for key, value in model.state_dict().items()}
    if normalisation is not None:
        metadata |= {NORMALISATION: msgspec.json.encode(normalisation).decode()}
    content = save(tensors, metadata={**metadata, "norm_eps": repr(conventions.norm_eps)})
    Path(path).write_bytes(_sorted_metadata(content))


def normalisation_of(file: WeightFile) -> Normalisation | None:
    """What the weights of a file want of an input, where it says so.

    Raises:
        InputError: If it says so in a way that cannot be read.
    """
    told = file.metadata.get(NORMALISATION)
    try:
        return None if told is None else msgspec.json.decode(told, type=Normalisation)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError(f"{file.source}: its normalisation in the metadata cannot be read: {error}") from None


def _sorted_metadata(content: bytes) -> bytes:
    """The content of a safetensors file with its metadata sorted: the library writes them in a random order.

    A file is the header's length (8 bytes, little-endian), the header (JSON, padded with spaces), the tensors.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header = {**header, "__metadata__": dict(sorted(header["__metadata__"].items()))}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[start:]


def _check_padding(file: WeightFile, network: Network) -> None:
    needed = network.conventions.padding
    stated = file.metadata.get("padding")
    cost = "the wrong padding costs 9 to 26 points of accuracy"
    if stated in ("same", "symmetric") and stated != needed:
        raise InputError(
            f"{file.source}: its metadata say it was trained with '{stated}' padding, but {network.name} pads "
            f"'{needed}'; {cost}. Take the network of the other form (TensorFlow's are named tf_...), "
            "or set conventions.padding"
        )
    name = Path(file.source).name if "hub:" not in file.source else file.source
    if not stated and file.source != "the given tensors":
        named = "same" if TENSORFLOW_NAME.search(name) else None
        if named and named != needed:
            warnings.warn(
                f"ridgepoint: '{name}' sounds like weights trained with TensorFlow's SAME padding, but {network.name} "
                f"pads '{needed}'; {cost}. The networks named tf_... pad as TensorFlow does",
                UserWarning,
                stacklevel=3,
            )


def _fit(
    network: Network, own: Mapping[str, Tensor], file: WeightFile, translation: Translation
) -> tuple[dict[str, Tensor], list[str], list[str], list[str]]:
    """Tensors in our shapes, the keys adapted, the keys left fresh, and the complaints."""
    filled: dict[str, Tensor] = {}
    adapted: list[str] = []
    reset: list[str] = []
    wrong: list[str] = []
    for key, name in translation.sources.items():
        wanted, eps = own[key], network.conventions.norm_eps
        given = tensor_of(name, key, wanted, file.tensors, translation.naming, norm_eps=eps)
        if wanted.is_floating_point() and not given.is_floating_point():
            wrong.append(f"{name} holds {str(given.dtype).removeprefix('torch.')}, {key} needs float")
        elif key.endswith("running_var") and bool((given < 0).any()):
            wrong.append(f"{name}, a variance, has values below 0")
        elif given.shape == wanted.shape:
            filled[key] = given
        elif key.startswith(CLASSIFIER) and given.shape[1:] == wanted.shape[1:]:
            reset.append(key)
        elif (changed := _adapt(key, given, wanted)) is not None:
            filled[key] = changed
            adapted.append(key)
        else:
            wrong.append(f"{name} is {tuple(given.shape)}, {key} needs {tuple(wanted.shape)}")
    return filled, adapted, reset, wrong


def _adapt(key: str, given: Tensor, wanted: Tensor) -> Tensor | None:
    """The given tensor in the wanted shape where there is one right way, otherwise None."""
    if wanted.dim() == 1 and given.shape == (*wanted.shape, 1, 1):
        return given.flatten()
    if given.dim() == 2 and wanted.dim() == 4 and wanted.shape[2:] == (1, 1) and given.shape == wanted.shape[:2]:
        return given[:, :, None, None]
    if key.startswith("stem.0.") and given.dim() == 4 and given.shape[0] == wanted.shape[0]:
        if given.shape[2:] != wanted.shape[2:]:
            return None
        channels = wanted.shape[1]
        if channels == 1:
            return given.sum(1, keepdim=True)
        order = torch.arange(channels) % given.shape[1]
        return given[:, order] * (given.shape[1] / channels)
    if key.endswith("attention.bias") and given.dim() == 2 and given.shape[0] == wanted.shape[0]:
        old, new = round(given.shape[1] ** 0.5), round(wanted.shape[1] ** 0.5)
        if old**2 != given.shape[1] or new**2 != wanted.shape[1]:
            return None
        square = given.float().view(1, -1, old, old)
        return F.interpolate(square, (new, new), mode="bilinear", align_corners=True).flatten(2)[0]
    return None


def _incomplete(file: WeightFile, network: Network, translation: Translation) -> str:
    deploy = any("reparam_conv" in key for key in file.tensors)
    hint = " They are in deploy form: call fuse(model) first, then load." if deploy else ""
    return (
        f"{file.source}: these weights are not those of {network.name} (closest naming: {translation.naming}). "
        f"{len(translation.missing)} tensors of the network are missing{_some(translation.missing, ': ')}; "
        f"{len(translation.leftover)} given tensors are left over{_some(translation.leftover, ': ')}.{hint}"
    )


def _some(items: list[str] | tuple[str, ...], before: str = "") -> str:
    shown = ", ".join(items[:6])
    return f"{before}{shown}" + (f" and {len(items) - 6} more" if len(items) > 6 else "") if items else ""
