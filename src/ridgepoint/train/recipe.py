"""Recipes: how a network is taught, as a value read from YAML."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ridgepoint.arch.choice import Choice
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space
from ridgepoint.data import Augmentation
from ridgepoint.documents import read_document, read_value
from ridgepoint.errors import InputError, nearest, shown
from ridgepoint.train.clip import AnyClip, ClipNorm
from ridgepoint.train.curriculum import Phase
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.optimizer import AdamW, AnyOptimizer, Kind, LrScaling
from ridgepoint.train.schedule import Annealed, AnySchedule, Cosine, Positive, Share
from ridgepoint.validation import Name, filled

RECIPES = Path(__file__).parent / "recipes"
LONGEST_KEY = 200
SMALL_IMAGE = 64
_FRACTION = re.compile(r"([0-9]{1,15})/(0*[1-9][0-9]{0,14})")
Count = Annotated[int, msgspec.Meta(ge=1, le=10**6)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Ema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An average of weights and statistics that keeps `decay` of itself at every step."""

    decay: Share


class Norm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Batch norm as the source framework sets it: `momentum` is the share of a new batch (1 - TensorFlow's)."""

    eps: Positive
    momentum: Share


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to train a classifier.

    Attributes:
        name: The file's.
        epochs: Length of a training; under a time limit the clock decides, and schedules stretch.
        short_epochs: Length of the trainings by which a search judges.
        batch_size: Images in a step, over all processes together.
        repeats: How often an image is in an epoch, side by side and varied anew; epochs stay as long.
        sampling: An epoch shows `each` image, or is `balanced`: as many of every class, some of them repeatedly.
        optimizer: The rule and its peak learning rate.
        lr_scaling: How that learning rate follows the batch size; it does not if left open.
        schedule: Of the learning rate.
        weight_decay: A number, or one that is annealed.
        undecayed: Kinds of weights that are spared: norms, biases, gains.
        clip: What is done about large gradients.
        ema: The average that is evaluated and shipped instead of the weights themselves.
        label_smoothing: Share of the target that is spread over all classes.
        dropout: Before the classifier.
        stochastic_depth: Of the last block, growing linearly from 0 at the first.
        norm: Overrides the network's batch norm.
        augmentation: How images are varied; by the data if left open.
        mixing: Mixup and CutMix.
        curriculum: Resolution and strength of augmentation while the training goes on.
        frozen: Share of the training, from its start, in which only the head learns.
        norm_statistics: What batch norm divides by: those of the `batch`, or those that came with the weights, `kept`.
        norm_batches: Batches over which the statistics of batch norm are taken anew at the end.
        precision: Of the multiplications; weights and sums stay float32.
        compile: Whether the model goes through `torch.compile`.
    """

    name: Name
    epochs: Count = 60
    short_epochs: Count = 5
    batch_size: Annotated[int, msgspec.Meta(ge=2, le=10**6)] = 64
    repeats: Count = 1
    sampling: Literal["each", "balanced"] = "each"
    optimizer: AnyOptimizer = AdamW(lr=3e-3)
    lr_scaling: LrScaling | None = None
    schedule: AnySchedule = Cosine(warmup=0.1)
    weight_decay: NotNegative | Annealed = 0.05
    undecayed: tuple[Kind, ...] = ("norm", "bias", "gain")
    clip: AnyClip | None = ClipNorm(most=5.0)
    ema: Ema | None = Ema(decay=0.999)
    label_smoothing: Share = 0.1
    dropout: Share = 0.1
    stochastic_depth: Share = 0.0
    norm: Norm | None = None
    augmentation: Augmentation | None = None
    mixing: Mixing = Mixing()
    curriculum: tuple[Phase, ...] = ()
    frozen: Share = 0.0
    norm_statistics: Literal["batch", "kept"] = "batch"
    norm_batches: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    def lr(self, progress: float, batch_size: int) -> float:
        """The learning rate for a batch size when so much of the training is done."""
        factor = self.lr_scaling.factor(batch_size) if self.lr_scaling else 1.0
        return self.optimizer.lr * factor * self.schedule.share(progress)

    def decay(self, progress: float) -> float:
        """The weight decay when so much of the training is done."""
        return self.weight_decay.at(progress) if isinstance(self.weight_decay, Annealed) else self.weight_decay

    def adapt(self, network: Network) -> Network:
        """The network with the recipe's batch norm."""
        conventions = msgspec.structs.replace(network.conventions, **self._conventions)
        return msgspec.structs.replace(network, conventions=conventions)

    def adapt_space(self, space: Space) -> Space:
        """The space of networks with the recipe's batch norm."""
        if self.norm is None:
            return space
        given = space.template.get("conventions", {})
        if isinstance(given, Choice):
            options = tuple({**each, **self._conventions} for each in given.options)
            return space.closed(conventions=Choice(given.name, options))
        return space.closed(conventions={**given, **self._conventions})

    @property
    def _conventions(self) -> dict[str, float]:
        return {} if self.norm is None else {"norm_eps": self.norm.eps, "norm_momentum": self.norm.momentum}


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def usual_recipe(size: int, *, trained: bool = False) -> str:
    """The recipe where the user names none: for images of `size` pixels, and for weights `trained` before."""
    return "finetune" if trained else "small_images" if size <= SMALL_IMAGE else "photographs"


def load_recipe(name_or_path: str, changes: dict[str, Any] | None = None) -> Recipe:
    """A recipe by name or from a YAML file, with single fields changed.

    Args:
        name_or_path: A name from `list_recipes` or a path to a .yaml file.
        changes: Keys, dotted where they are nested, and new values, as `--set optimizer.lr=0.01` gives them.

    Raises:
        InputError: If the recipe or a key is unknown or a value is not allowed.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if name_or_path not in list_recipes():
            raise InputError(f"unknown recipe '{name_or_path}'; {nearest(name_or_path, list_recipes())}")
        path = RECIPES / f"{name_or_path}.yaml"
    raw = read_document(path)
    if not isinstance(raw, dict):
        raise InputError(f"{path}: is {shown(raw)}. Allowed: a mapping such as {{name: mine, epochs: 60}}")
    return filled(Recipe, _fractions(raw), _fractions(changes or {}), what=f"recipe {path.stem}")


def parse_changes(settings: list[str]) -> dict[str, Any]:
    """`key=value` texts as a mapping; values are read as those of a document, so numbers are numbers.

    Raises:
        InputError: If a text has no `=`, or a value breaks a rule of documents.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        key = key.strip()
        if not sign:
            raise InputError(
                f"--set {shown(setting)}: has no '='. Allowed: key=value, for example --set optimizer.lr=0.01"
            )
        if not key or len(key) > LONGEST_KEY:
            raise InputError(f"--set {shown(setting)}: before the '=' must be a key of 1 to {LONGEST_KEY} letters")
        changes |= _fractions({key: read_value(value.strip(), what=f"--set {key}")})
    return changes


def _fractions(raw: Any) -> Any:
    """The same with every text such as `5/300` as the number that it means; names stay."""
    if isinstance(raw, dict):
        return {key: value if key == "name" else _fractions(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_fractions(value) for value in raw]
    if isinstance(raw, str) and (parts := _FRACTION.fullmatch(raw)):
        return int(parts[1]) / int(parts[2])
    return raw
