"""Networks from what people type: zoo names, globs over the zoo, YAML files."""

from typing import Any

from ridgepoint.errors import InputError


def load_all(models: list[str], input_size: int | None = None) -> list[Any]:
    """The networks in the order given, each once.

    Args:
        models: Zoo names, globs such as ``mobilenetv4*``, or paths.
        input_size: Height and width in pixels instead of each network's own.

    Raises:
        InputError: If a glob matches nothing, or the size is no positive number.
        ArchitectureError: If a name is unknown or a file is wrong.
    """
    from ridgepoint.arch.zoo import list_models, load

    if input_size is not None and input_size < 1:
        raise InputError(f"--input is {input_size}. Allowed: a whole number of pixels from 1, for example 224")
    names: list[str] = []
    for model in models:
        glob = any(sign in model for sign in "*?[")
        matched = list_models(model) if glob else [model]
        if not matched:
            raise InputError(f"'{model}' matches no model of the zoo; `ridgepoint models` lists them")
        names += [name for name in matched if name not in names]
    networks = [load(name) for name in names]
    return [network.at(height=input_size) for network in networks] if input_size else networks
