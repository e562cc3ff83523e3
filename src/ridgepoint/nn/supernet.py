"""One set of weights for every network of a space: a child is a prefix of each tensor, and only its own layers run.

A tensor belongs to a row of the space's template, to the kind of block there and to its part in that block, so blocks
that differ in anything else share it: the two 1x1 convolutions of a universal inverted bottleneck serve all its
instantiations, at every width. Depthwise convolutions have one kernel (and norm) per kernel size. Every tensor is as
large as the largest block needs; a smaller one takes the first channels of each axis, so it costs what it costs alone.

Norms take the statistics of their batch, in training and in evaluation: no running statistics could hold for all
children. A child that is kept becomes a network of its own, whose statistics are then estimated on training images.

All kernel sizes of a convolution begin as the same filter, and go their own ways from there.

Source: TuNAS, arXiv:2008.06120, sections 3 and 5 ("op collapsing", channel masking).
Differs: channels are sliced where TuNAS multiplies them by masks, so that a small child is a fast child.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.attention import TalkingAttention
from ridgepoint.arch.choice import Choice
from ridgepoint.arch.layer import Conv2d, Layer, MultiQueryAttention, SelfAttention
from ridgepoint.arch.network import Site, place_row
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.space import Space
from ridgepoint.arch.wiring import is_grouped
from ridgepoint.cost.space_table import compile_space
from ridgepoint.errors import InputError
from ridgepoint.nn import layers
from ridgepoint.nn.build import ATTENTION_PROJECTIONS, BuiltNetwork, build, initialise, module_of

Place = tuple[int, int]
"""A row of the template, and which repetition of it."""


@dataclass(frozen=True, eq=False)
class Option:
    """A block at a place, ready to run: its module holds no weights, `weights` says where they are.

    `weights` has the name of each parameter in the module, the supernet's tensor, and the part of it that is taken, all
    of it if None.
    """

    module: nn.Module
    weights: tuple[tuple[str, nn.Parameter, tuple[slice, ...] | None], ...]
    input: Shape
    output: Shape


class Step(NamedTuple):
    """One place of a child: a block, or several whose outputs are averaged; None lets its input through.

    `shares` are the weights of that average, (options,), equal ones if left open.
    """

    options: tuple[Option | None, ...]
    shares: Tensor | None = None


class Supernet(nn.Module):
    """All networks of a space in one set of weights.

    Shape: (B, channels, H, W) -> (B, num_classes).
    """

    def __init__(self, space: Space):
        super().__init__()
        self.space = space
        self.table = compile_space(space)
        if any(site.part.taps for _, site in self.table.possible()):
            raise InputError(
                f"{space.name}: its head taps maps from within the network, and networks with shared weights have none "
                "such. Allowed: another head, or a method that trains candidates one by one"
            )
        self.grid = layers.Grid()
        self.weights = nn.ParameterDict(_largest(self.table.possible()))
        _align(dict(self.weights.items()))
        self._options: dict[tuple[Place, Site], Option] = {}
        rows = [*space.template.get("stem", []), *(row for each in space.template["stages"] for row in each["blocks"])]
        self._head = len(rows)  # the row that follows
        self._rows = {number: row.name for number, row in enumerate(rows) if isinstance(row, Choice)}

    def forward(self, x: Tensor, steps: Sequence[Step]) -> Tensor:
        """Run a child, as `steps`, `blended` or `mixed` give it."""
        for step in steps:
            x = self._run(step.options[0], x) if len(step.options) == 1 else self._average(step, x)
        return x

    def steps(self, assignment: Mapping[str, int]) -> list[Step]:
        """The child of an assignment."""
        return [Step((option,)) for option in self._child(assignment).values()]

    def blended(self, assignments: Sequence[Mapping[str, int]]) -> list[Step]:
        """The first assignment's child, in every place the mean of what the assignments have there.

        Averaged are blocks that take and give the channels and resolution of the first child there; where a child has
        no block, its input counts.
        """
        children = [self._child(assignment) for assignment in assignments]
        shape = next(iter(children[0].values())).input
        steps = []
        for place in sorted({place for child in children for place in child}):
            own = children[0].get(place)
            output = own.output if own else shape
            others = [child.get(place) for child in children]
            steps.append(Step(tuple(dict.fromkeys([own, *(each for each in others if _fits(each, shape, output))]))))
            shape = output
        return steps

    def mixed(self, assignment: Mapping[str, int], shares: Mapping[str, Tensor]) -> list[Step]:
        """The child of an assignment with all options of some rows at once, weighted.

        Args:
            assignment: Of every choice that is open whatever those rows are.
            shares: By the name of a choice between rows that keep resolution and channels, the weight of each option,
                (options,). They may want gradients.
        """
        turns = range(max(len(each) for each in shares.values()))
        taken = [{name: min(turn, len(each) - 1) for name, each in shares.items()} for turn in turns]
        children = [self._child({**assignment, **each}) for each in taken]
        steps = []
        for place in sorted({place for child in children for place in child}):
            at = [child.get(place) for child in children]
            weights = shares.get(self._rows.get(place[0], ""))
            steps.append(Step((at[0],)) if weights is None else Step(tuple(at[: len(weights)]), weights))
        return steps

    @torch.no_grad()
    def start_from(self, other: "Supernet") -> None:
        """Take over what the supernet of another part of the space has in common: the first channels of each axis.

        Kernel sizes that the other one lacks begin as the smallest that it has.

        Raises:
            ValueError: If that one is of another space.
        """
        if other.space.name != self.space.name:
            raise ValueError(f"a supernet of {self.space.name} cannot start from one of {other.space.name}")
        for key, tensor in self.weights.items():
            if key in other.weights:
                shared = tuple(slice(min(sizes)) for sizes in zip(tensor.shape, other.weights[key].shape, strict=True))
                tensor[shared] = other.weights[key][shared]
        _align(dict(self.weights.items()), known=other.weights.keys())

    def freeze_backbone(self, frozen: bool) -> None:
        """Let only the heads learn (frozen), or everything."""
        for key, weight in self.weights.items():
            weight.requires_grad_(not frozen or _row_of(key) >= self._head)

    def extract(self, assignment: Mapping[str, int]) -> BuiltNetwork:
        """The child as a network of its own, with a copy of its weights; its norms have no running statistics yet."""
        model = build(self.space.decode(assignment)).to(next(self.parameters()).dtype)
        own = dict(model.named_parameters())
        children = self._child(assignment).values()
        with torch.no_grad():
            for (path, _), option in zip(model.network.parts(), children, strict=True):
                for name, tensor in _taken(option).items():
                    own[f"{path}.{name}"].copy_(tensor)
        return model

    def _child(self, assignment: Mapping[str, int]) -> dict[Place, Option]:
        """What an assignment has in every place, in order."""
        rows = enumerate(self.table.sites(assignment))
        found = [((row, repetition), site) for row, sites in rows for repetition, site in enumerate(sites)]
        return {place: self._option(place, site) for place, site in found}

    def _option(self, place: Place, site: Site) -> Option:
        if (place, site) not in self._options:
            self._options[place, site] = self._made(place, site)
        return self._options[place, site]

    def _made(self, place: Place, site: Site) -> Option:
        placed = place_row(*site, deploy=False)
        with torch.device("meta"):
            module = module_of(placed.recipe, site.input, self.grid, 0.0, 0.0)
        for norm in module.modules():
            if isinstance(norm, BatchNorm):
                norm.track_running_stats = False
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        weights = []
        own = dict(module.named_parameters())
        for path, role, _ in _roles(site):
            for name in [name for name in own if name.rpartition(".")[0] == path]:
                tensor = self.weights[_key(place, role, name)]
                whole = tensor.shape == own[name].shape
                weights.append((name, tensor, None if whole else tuple(slice(size) for size in own[name].shape)))
        return Option(module, tuple(weights), site.input, placed.output)

    def _run(self, option: Option | None, x: Tensor) -> Tensor:
        return x if option is None else functional_call(option.module, _taken(option), (x,))

    def _average(self, step: Step, x: Tensor) -> Tensor:
        """The mean of the options' outputs, in the layout of the first; each gets its input in the layout it needs."""
        outputs = [
            self._run(option, self._laid_out(x, option.input.layout if option else "")) for option in step.options
        ]
        first = "map" if outputs[0].dim() == 4 else "tokens"
        stacked = torch.stack([self._laid_out(output, first) for output in outputs])
        return stacked.mean(0) if step.shares is None else torch.tensordot(step.shares.to(stacked), stacked, 1)

    def _laid_out(self, x: Tensor, layout: str) -> Tensor:
        if layout == "map" and x.dim() == 3:
            return layers.call(layers.ToMap(self.grid), x)
        if layout == "tokens" and x.dim() == 4:
            return layers.call(layers.ToTokens(self.grid), x)
        return x


def _taken(option: Option) -> dict[str, Tensor]:
    return {name: weight if index is None else weight[index] for name, weight, index in option.weights}


def _fits(option: Option | None, given: Shape, output: Shape) -> bool:
    """Whether an option, or none, turns one shape into another, whatever the layout."""

    def size(shape: Shape) -> tuple[int, int, int]:
        return shape.channels, shape.height, shape.width

    before, after = (option.input, option.output) if option else (given, given)
    return size(before) == size(given) and size(after) == size(output)


def _largest(sites: Iterator[tuple[Place, Site]]) -> dict[str, nn.Parameter]:
    """A fresh tensor for every role at every place, as large as the largest layer that it ever serves."""
    widest: dict[tuple[Place, str], Layer] = {}
    projections: set[tuple[Place, str]] = set()
    for place, site in sites:
        attends = any(isinstance(at.layer, MultiQueryAttention) for at in place_row(*site, deploy=False).layers)
        for _, role, layer in _roles(site):
            known = widest.setdefault((place, role), layer)
            widest[place, role] = _wider(known, layer)
            if attends and role.partition(".")[2] in ATTENTION_PROJECTIONS:
                projections.add((place, role))
    modules = {key: module_of(layer, Shape(1), layers.Grid(), 0.0, 0.0) for key, layer in widest.items()}
    initialise(nn.ModuleList(modules.values()))
    for key, module in modules.items():
        if key in projections:
            nn.init.xavier_uniform_(module.get_parameter("weight"))
    return {
        _key(place, role, name): parameter
        for (place, role), module in modules.items()
        for name, parameter in module.named_parameters()
    }


@torch.no_grad()
def _align(weights: Mapping[str, Tensor], known: Collection[str] = ()) -> None:
    """Let all kernel sizes of a convolution begin as the same filter, with zeros around it or without its border.

    The filter is the smallest of those that are known, or the smallest of all. Layers behind it are shared: were the
    filters of every size drawn anew, a channel would mean something else with each, and what the shared layers learn
    with one would be undone with the next.
    """
    sizes: dict[str, list[str]] = {}
    for key in sorted((key for key in weights if weights[key].dim() == 4), key=lambda key: weights[key].shape[-1]):
        sizes.setdefault(key.replace(f"/{weights[key].shape[-1]}/weight", "/weight"), []).append(key)
    for keys in sizes.values():
        given = [key for key in keys if key in known] or keys[:1]
        first = weights[given[0]]
        for key in keys:
            if key not in given:
                whole = weights[key]
                shared = tuple(slice(min(pair)) for pair in zip(whole.shape[:2], first.shape[:2], strict=True))
                whole[shared] = F.pad(first[shared], ((whole.shape[-1] - first.shape[-1]) // 2,) * 4)


def _wider(first: Layer, second: Layer) -> Layer:
    """A layer with the larger one of every number."""
    if first == second:
        return first
    numbers = {name: value for name, value in msgspec.structs.asdict(first).items() if isinstance(value, int)}
    return msgspec.structs.replace(
        first, **{name: max(value, getattr(second, name)) for name, value in numbers.items()}
    )


def _roles(site: Site) -> Iterator[tuple[str, str, Layer]]:
    """Every layer of a site with weights: its path in the module, and its role.

    A role is the path without what a residual adds to it, the kernel size where it is larger than 1 (of the
    convolution, for its norm too), the number of its groups where these are few, and the grid of an attention bias.
    """
    placed = place_row(*site, deploy=False).layers
    kernels = {_unit(at.path): at.layer.kernel for at in placed if isinstance(at.layer, Conv2d) and at.layer.kernel > 1}
    kind = site.part.tag()
    for at in placed:
        if not at.layer.params():
            continue
        steps = [kind, *(step for step in at.path.split(".") if step not in ("", "body"))]
        if _unit(at.path) in kernels:
            steps.append(str(kernels[_unit(at.path)]))
        if is_grouped(at.layer):
            steps.append(f"groups{at.layer.groups}")
        if isinstance(at.layer, SelfAttention | TalkingAttention):
            steps.append(f"{at.layer.bias_height}x{at.layer.bias_width}")
        yield at.path.strip("."), ".".join(steps), at.layer


def _unit(path: str) -> str:
    return path.rpartition(".")[0]


def _key(place: Place, role: str, name: str) -> str:
    row, repetition = place
    return f"{row}.{repetition}.{role}.{name.rpartition('.')[2]}".replace(".", "/")


def _row_of(key: str) -> int:
    """The row of the template that a tensor belongs to."""
    return int(key.partition("/")[0])
