"""A file of weights from anywhere, as plain finite tensors by name. Nothing in a file is ever executed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from ridgepoint.errors import InputError, shown
from ridgepoint.files import check_regular, exists
from ridgepoint.filetype import mistaken

LARGEST_BYTES = 64 << 30
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema", "averaged_model")
PLAIN = ("state_dict", "model_state_dict", "model", "net", "network", "params", "module", "weights", "student")
DEEPEST = 3  # how often a state dict may be wrapped: {"ema": {"module": {...}}}
# What wrappers put before every name: DataParallel, torch.compile, Lightning and others, DeepSpeed, AveragedModel.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "_forward_module.", "ema_model.", "student.")
COUNTERS = ("n_averaged",)  # what an average keeps beside its tensors
_ALLOWED = "what torch.save(model.state_dict(), path) or safetensors wrote"
SAVE_AGAIN = "Save it again where it was made: torch.save(model.state_dict(), path), or as .safetensors"


class WeightFile(msgspec.Struct, frozen=True):
    """Tensors by name, and what their source says about itself.

    Attributes:
        source: As it was given.
        tensors: Plain and finite.
        metadata: Of a `.safetensors` file.
        notes: A sentence on each thing that was chosen or left out: which of several sets, a prefix of all names.
    """

    source: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def read_weight_file(path: Path, source: str) -> WeightFile:
    """The tensors of a `.safetensors` file, or of a file that torch.save wrote.

    Where averaged weights (EMA) lie beside those of the last step, they are taken: they are what trainings are judged
    by. A prefix that wrappers put before every name is left out.

    Raises:
        InputError: If it cannot be read, or holds more than plain finite tensors.
    """
    if not exists(path):
        raise InputError(
            f"there is no weight file '{source}'. Allowed: a .safetensors or .pth file, or a hub id hf-hub:OWNER/NAME"
        )
    check_regular(path, limit_bytes=LARGEST_BYTES)
    if words := mistaken(path):
        raise InputError(f"{source}: {words}")
    if path.suffix == ".safetensors":
        tensors, metadata = _safetensors(path, source)
        notes: list[str] = []
    else:
        tensors, notes = _unwrapped(_torch(path, source), source)
        metadata = {}
    tensors = {name: value for name, value in tensors.items() if name not in COUNTERS}
    tensors, prefix = without_prefix(tensors)
    if prefix:
        notes.append(f"'{prefix}' before every name is left out")
    check_tensors(tensors, source, largest=path.stat().st_size * 8)
    return WeightFile(source, tensors, metadata, tuple(notes))


def without_prefix(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The tensors by their own names, and what stood before all of them."""
    found, prefix = dict(tensors), ""
    while found and (common := next((each for each in PREFIXES if all(key.startswith(each) for key in found)), None)):
        found = {key.removeprefix(common): value for key, value in found.items()}
        prefix += common
    return found, prefix


def check_tensors(tensors: Mapping[str, Any], source: str, *, largest: int | None = None) -> None:
    """Refuse what no weights are made of.

    Args:
        tensors: By name.
        source: For messages.
        largest: Elements that all together may have: a few bytes can claim any size.

    Raises:
        InputError: Naming the first tensors that are sparse, quantised, complex or not finite.
    """
    if not tensors:
        raise InputError(f"{source}: holds no tensors. {SAVE_AGAIN}")
    for name, value in tensors.items():
        if kind := _unusual(value):
            raise InputError(f"{source}: the tensor {shown(name)} is {kind}. Allowed: plain real numbers. {SAVE_AGAIN}")
    if largest is not None and sum(value.numel() for value in tensors.values()) > largest:
        raise InputError(f"{source}: its tensors claim more elements than the file has bits. {SAVE_AGAIN}")
    bad = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
        raise InputError(
            f"{source}: {', '.join(map(shown, bad[:4]))}{more} hold values that are infinite or no numbers. The "
            "training diverged or the file is damaged: take an earlier checkpoint"
        )


def _unusual(value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return f"no tensor but {type(value).__name__}"
    if value.is_quantized:
        return "quantised"
    if value.layout is not torch.strided or value.is_nested:
        return "sparse or nested"
    if value.is_complex():
        return "complex"
    return "without content (on the meta device)" if value.is_meta else None


def _torch(path: Path, source: str) -> Any:
    """What torch.save wrote, read as tensors and plain containers only."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_archive(archive.infolist(), source)
        return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a file can be broken in every place that the readers touch
        text = str(error).lower()
        if "global" in text or "class" in text:
            raise InputError(
                f"{source}: holds objects besides tensors, which could run any code and are never loaded. {SAVE_AGAIN}"
            ) from None
        raise InputError(f"{source}: is no file of PyTorch, or a damaged one. Allowed: {_ALLOWED}") from None


def _check_archive(entries: list[zipfile.ZipInfo], source: str) -> None:
    names = [entry.filename for entry in entries]
    if any(name.endswith("constants.pkl") for name in names):
        raise InputError(f"{source}: is a TorchScript program, which is code. {SAVE_AGAIN}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(f"{source}: is a compressed archive, not one of PyTorch. Unpack it first")
    if not any(name.endswith("data.pkl") for name in names):
        raise InputError(f"{source}: is a zip archive of something else ({shown(names[:2])}). Allowed: {_ALLOWED}")


def _unwrapped(content: Any, source: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict inside what trainings save around it, and which was taken where there are several."""
    notes = []
    for _ in range(DEEPEST):
        if not isinstance(content, dict):
            break
        sets = [key for key in (*AVERAGED, *PLAIN) if isinstance(content.get(key), dict) and content[key]]
        if not sets:
            break
        if len(sets) > 1:
            kind = "averaged weights" if sets[0] in AVERAGED else "weights"
            notes.append(f"of {', '.join(map(repr, sets))} the {kind} '{sets[0]}' are taken")
        content = content[sets[0]]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{source}: holds no state dict, a mapping from names to tensors. {SAVE_AGAIN}")
    return {str(key): value for key, value in content.items()}, notes


def _safetensors(path: Path, source: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(f"{source}: cannot be read as safetensors, or is damaged: {error}") from None
