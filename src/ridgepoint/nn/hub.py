"""Weight files: local ones, and published ones by timm's names through the Hugging Face hub."""

import contextlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from ridgepoint.documents import read_document
from ridgepoint.errors import InputError, nearest

HUB_PREFIXES = ("hf-hub:", "hf_hub:", "timm/")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
WRAPPERS = ("state_dict", "model", "state_dict_ema", "model_ema")


class WeightFile(msgspec.Struct, frozen=True):
    """Tensors by name, and what their source says about itself."""

    source: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


@lru_cache(maxsize=1)
def published_weights() -> dict[str, str]:
    """The tag of the weights that `pretrained=True` takes, for every network that has some."""
    tags: dict[str, str] = read_document(Path(__file__).parent / "published_weights.yaml")
    return tags


def hub_id(name: str, tag: str | None = None) -> str:
    """The hub id of a network's published weights, such as ``hf-hub:timm/mobilenetv2_100.ra_in1k``.

    Raises:
        InputError: If no weights are published under this name and no tag is given.
    """
    if tag is None and name not in published_weights():
        raise InputError(
            f"no published weights are known for '{name}': give a file or a hub id as pretrained=, "
            f"or take another network; {nearest(name, published_weights())}"
        )
    return f"hf-hub:timm/{name}.{tag or published_weights()[name]}"


def read_weights(source: str | Path) -> WeightFile:
    """The tensors of a `.safetensors` file, a `.pth` file or a hub repository. Nothing in a file is ever executed.

    Args:
        source: A path, or a hub id: ``hf-hub:timm/<name>.<tag>`` or ``timm/<name>.<tag>``.

    Raises:
        InputError: If there is no such file, it cannot be read, or it holds more than tensors.
    """
    text = str(source)
    if not Path(text).exists() and text.startswith(HUB_PREFIXES):
        return _read_hub(text)
    return _read_file(Path(text), text)


def _read_hub(text: str) -> WeightFile:
    """What lies in the local cache is taken without asking the hub: published tags do not change."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    repository = re.sub(r"^hf[-_]hub:", "", text)
    for name in HUB_FILES:
        with contextlib.suppress(LocalEntryNotFoundError):
            return _read_file(Path(hf_hub_download(repository, name, local_files_only=True)), text)
    for name in HUB_FILES:
        try:
            return _read_file(Path(hf_hub_download(repository, name)), text)
        except LocalEntryNotFoundError:
            raise InputError(
                f"the weights '{repository}' are not in the local cache and the hub cannot be reached. "
                "Check the network connection, or give a file"
            ) from None
        except RepositoryNotFoundError:
            raise InputError(f"the hub has no repository '{repository}', or it is private") from None
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise InputError(f"the weights '{repository}' cannot be fetched from the hub: {error}") from None
    raise InputError(f"the hub repository '{repository}' has none of the files {', '.join(HUB_FILES)}")


def _read_file(path: Path, source: str) -> WeightFile:
    if not path.is_file():
        raise InputError(
            f"there is no weight file '{source}'. Allowed: a .safetensors or .pth file, or a hub id hf-hub:.."
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path, source)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"'{source}' cannot be loaded safely: {str(error).splitlines()[0]} Allowed: a file that holds nothing but "
            "tensors, such as torch.save(model.state_dict(), path)"
        ) from None
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"'{source}' holds no state dict: a mapping from names to tensors is needed")
    return WeightFile(source, {str(key).removeprefix("module."): value for key, value in content.items()}, {})


def _read_safetensors(path: Path, source: str) -> WeightFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return WeightFile(source, {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {}))  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"'{source}' cannot be read as safetensors: {error}") from None
