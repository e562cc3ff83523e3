"""Recipes: how a network is taught, as a value read from YAML."""

import contextlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from ridgepoint.errors import InputError, nearest, told_wrong

RECIPES = Path(__file__).parent / "recipes"
Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to train a classifier.

    The learning rate rises linearly over the `warmup` share of the training and falls to 0 along a cosine. Weight decay
    spares norms, gains and biases. EMA averages weights and running statistics; its average is what is evaluated and
    shipped. `epochs` and `short_epochs` hold where training is bounded by count; under a time limit the clock decides.
    """

    name: str
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 3e-3
    momentum: Share = 0.9
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.05
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 64
    warmup: Share = 0.1
    label_smoothing: Share = 0.1
    ema_decay: Share = 0.999
    clip_norm: Positive | None = 5.0
    drop_rate: Share = 0.1
    drop_path_rate: Share = 0.0
    epochs: Annotated[int, msgspec.Meta(ge=1)] = 60
    short_epochs: Annotated[int, msgspec.Meta(ge=1)] = 5


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str, changes: dict[str, Any] | None = None) -> Recipe:
    """A recipe by name or from a YAML file, with single fields changed.

    Args:
        name_or_path: A name from `list_recipes` or a path to a .yaml file.
        changes: Fields and new values, as `--set key=value` gives them.

    Raises:
        InputError: If the recipe or a field is unknown or a value is not allowed.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if name_or_path not in list_recipes():
            raise InputError(f"unknown recipe '{name_or_path}'; {nearest(name_or_path, list_recipes())}")
        path = RECIPES / f"{name_or_path}.yaml"
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")).items()
        raw = {key: _value(value) if isinstance(value, str) and key != "name" else value for key, value in read}
        raw |= changes or {}
        recipe = msgspec.convert(raw, Recipe)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise InputError(f"{path}: is no recipe: {error}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"recipe {path.stem}: {told_wrong(str(error), raw, Recipe)}") from None
    for name, value in msgspec.structs.asdict(recipe).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"recipe {path.stem}: {name} is {value}. Allowed: a finite number")
    return recipe


def parse_changes(settings: list[str]) -> dict[str, Any]:
    """`key=value` texts as a mapping; values are read as YAML, so numbers are numbers.

    Raises:
        InputError: If a text has no `=`.
    """
    changes = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise InputError(f"--set {setting}: has no '='. Allowed: key=value, for example --set lr=0.01")
        changes[key.strip()] = _value(value.strip())
    return changes


def _value(text: str) -> Any:
    """A number as Python reads it (YAML takes 1e9 for a text), anything else as YAML reads it."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
