"""Folding: batch norms, layer scales and parallel branches into single convolutions, anywhere inside any module."""

import copy
import logging
from collections.abc import Sequence
from typing import TypeAlias, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.errors import InputError, ParityError, nearest
from ridgepoint.nn import layers, map_norms, shaping
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.count import count
from ridgepoint.nn.depthwise import DepthwiseConv2d
from ridgepoint.nn.forms import FORMS, in_form
from ridgepoint.nn.norms import affine_of
from ridgepoint.nn.pointwise import PointwiseConv2d
from ridgepoint.units import format_count

LOG = logging.getLogger(__name__)
Scaled: TypeAlias = nn.Conv2d | nn.Linear | map_norms.RmsNorm
"""What a gain for each channel of its output goes into."""
MEANS = (layers.GlobalPool, nn.Flatten)  # of an affine map they give the same affine map of the mean
CONVOLUTIONS = (nn.Conv2d, layers.SameConv2d, DepthwiseConv2d, PointwiseConv2d)
# Float32 sums in another order; a wrong fold is off by orders of magnitude more.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def fuse(model: nn.Module, *, target: str | None = None, example: Tensor | None = None) -> nn.Module:
    """A copy of the model in deploy form; the model itself is left as it is.

    Folds batch norm and layer scale into the convolution or linear layer before them (a batch norm with none before it
    into the 1x1 convolution or linear layer after it, also across a pool), re-parameterisable branches into one
    convolution, and two
    averaged classifiers into one; drops dropout and stochastic depth. Every fold is checked on
    random input. Folding twice changes nothing. Parameters (and MACs, for a network of ours) before and after are
    logged; `ridgepoint.nn.count` gives them for any module.

    Args:
        model: Any module in eval mode: one of ours, or one that contains ours or `nn.Sequential` conv-norm pairs. In a
            plain `nn.Sequential` the places of folded norms stay, so that indices keep their meaning.
        target: Also write attention, biases and gates as one runtime takes them in whole, for one size of images: a
            runtime's `form`, one of `ridgepoint.nn.forms.FORMS`.
        example: An input of that size; left out, the size is the network's own.

    Raises:
        InputError: If the model is in train mode: batch norm would use batch statistics, which cannot be folded; or if
            the target is unknown, or nobody tells the size.
        ParityError: If a folded part does not compute what it computed before.

    Source: RepVGG, arXiv:2101.03697, section 3.3; MobileOne, arXiv:2206.04040, section 3.2.
    """
    if any(module.training for module in model.modules() if isinstance(module, BatchNorm)):
        raise InputError(
            "fuse was given a model in train mode, where batch norm uses the statistics of each batch and cannot be "
            "folded. Call model.eval() first."
        )
    if target is not None and target not in FORMS:
        raise InputError(f"fuse was given target='{target}'; {nearest(target, FORMS)}")
    fused = _fused(copy.deepcopy(model))
    if target is not None:
        if example is None:
            if not isinstance(model, BuiltNetwork):
                raise InputError("fuse was given a target and no example: a form is for one size of input. Give one")
            example = torch.zeros(1, *model.network.input)
        fused = in_form(fused, target, example)
    if LOG.isEnabledFor(logging.INFO):
        LOG.info("%s: %s before, %s after folding", type(model).__name__, _described(model), _described(fused))
    return fused


def _described(model: nn.Module) -> str:
    if isinstance(model, BuiltNetwork):
        return str(count(model, model.network.input))
    return f"{format_count(sum(parameter.numel() for parameter in model.parameters()))} params"


def _fused(module: nn.Module) -> nn.Module:
    for name, child in list(module.named_children()):
        setattr(module, name, _fused(child))
    if _is_sequence(module):
        _fold_sequence(module)
    elif isinstance(module, layers.Parallel):
        merged = _merge(module)
        if merged is not None:
            return merged
    return module


def _is_convolution(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a module is a convolution and no more; other classes derived from it may do more."""
    return type(module) in CONVOLUTIONS


def _is_sequence(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a module runs its parts in order; a subclass that has a way of its own is left alone."""
    own = (nn.Sequential.forward, layers.Chain.forward)
    return isinstance(module, nn.Sequential) and type(module).forward in own


def _fold_sequence(sequence: nn.Sequential) -> None:
    before = ""
    for name, part in list(sequence.named_children()):
        if isinstance(part, nn.Dropout | layers.StochasticDepth):
            _take_out(sequence, name)
            continue
        path = _norm_before(sequence, before)
        norm = sequence._modules[path] if path else None
        pulled = _with_norm_before(norm, part, sequence)
        if norm is not None and pulled is not None:
            _check(nn.Sequential(norm if path == before else _of_vectors(norm, part), part), pulled)
            sequence._modules[name] = pulled
            _take_out(sequence, path)
            before = name
            continue
        owner = _last_linear(sequence, before) if before else None
        if owner is not None and _is_absorbed(part, owner[2]):
            parent, key, linear = owner
            folded = _absorb(linear, part)
            _check(nn.Sequential(linear, part), folded)
            parent._modules[key] = folded
            _take_out(sequence, name)
            continue
        if type(part) is not nn.Identity:
            before = name


def _norm_before(sequence: nn.Sequential, before: str) -> str:
    """The norm that what comes next can take in, in our own chains also across a pool; nothing where there is none."""
    names = list(sequence._modules)
    for name in reversed(names[: names.index(before) + 1] if before else []):
        part = sequence._modules[name]
        if isinstance(part, BatchNorm):
            return name
        if not isinstance(sequence, layers.Chain) or type(part) not in MEANS:
            return ""
    return ""


def _of_vectors(norm: nn.Module, part: nn.Module) -> nn.Module:
    """The same norm of what a pool gave of the map that it norms."""
    if not isinstance(norm, nn.BatchNorm2d) or isinstance(part, nn.Conv2d):
        return norm
    flat = nn.BatchNorm1d(norm.num_features, eps=norm.eps).to(next(part.parameters()))
    flat.load_state_dict(norm.state_dict())
    return flat.eval()


def _take_out(sequence: nn.Sequential, name: str) -> None:
    """Remove a part; in a sequence that is not ours its place stays, because others may index it."""
    if isinstance(sequence, layers.Chain):
        del sequence._modules[name]
    else:
        sequence._modules[name] = nn.Identity()


def _is_absorbed(affine: nn.Module, linear: nn.Module) -> TypeGuard[nn.BatchNorm2d | layers.LayerScale]:
    """Whether the layer before it can take an affine layer; other classes derived from these may do more."""
    is_conv = _is_convolution(linear)
    if type(affine) is nn.BatchNorm2d:
        return is_conv and affine.running_var is not None
    if type(linear) is map_norms.RmsNorm:
        return type(affine) is layers.LayerScale
    return type(affine) is layers.LayerScale and (type(linear) is nn.Linear if affine.tokens else is_conv)


def _with_norm_before(norm: nn.Module | None, part: nn.Module, sequence: nn.Module) -> nn.Conv2d | nn.Linear | None:
    """A layer with the norm in front of it folded in; None where there is none, or a border would see another input.

    Into a linear layer in our own chains only: elsewhere the two may look at different axes.
    """
    if not isinstance(norm, BatchNorm) or norm.running_var is None:
        return None
    if type(part) is nn.Linear:
        fits = type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d) and isinstance(sequence, layers.Chain)
        return _pulled(part, norm) if fits else None
    if _is_convolution(part) and part.kernel_size == (1, 1) and part.groups == 1 and not any(part.padding):
        return _pulled(part, norm) if type(norm) is nn.BatchNorm2d else None
    return None


def _pulled(linear: nn.Conv2d | nn.Linear, norm: BatchNorm) -> nn.Conv2d | nn.Linear:
    gain, shift = _affine(norm)
    assert shift is not None
    folded = copy.deepcopy(linear)
    with torch.no_grad():
        folded.weight.copy_(linear.weight * gain.view(1, -1, *[1] * (linear.weight.dim() - 2)))
        bias = linear.weight.flatten(1) @ shift
    folded.bias = nn.Parameter((bias if linear.bias is None else bias + linear.bias).detach())
    return folded


def _last_linear(parent: nn.Module, key: str) -> tuple[nn.Module, str, Scaled] | None:
    """The convolution, linear layer or RMS norm that ends a part, and where it sits, looking into sequences."""
    part = parent.get_submodule(key)
    if _is_convolution(part) or type(part) in (nn.Linear, map_norms.RmsNorm):
        return parent, key, cast(Scaled, part)
    if _is_sequence(part) and len(part):
        return _last_linear(part, list(part._modules)[-1])
    return None


def _absorb(linear: Scaled, affine: BatchNorm | layers.LayerScale) -> Scaled:
    gain, shift = _affine(affine)
    folded = copy.deepcopy(linear)
    bias = linear.bias if linear.bias is not None else torch.zeros_like(gain)
    with torch.no_grad():
        folded.weight.copy_(linear.weight * gain.view(-1, *[1] * (linear.weight.dim() - 1)))
    if linear.bias is not None or shift is not None:
        folded.bias = nn.Parameter((bias * gain + (0 if shift is None else shift)).detach())
    return folded


def _affine(module: BatchNorm | layers.LayerScale) -> tuple[Tensor, Tensor | None]:
    """The gain and shift per channel that a module applies in eval mode."""
    return (module.gain, None) if isinstance(module, layers.LayerScale) else affine_of(module)


def _merge(parallel: layers.Parallel) -> nn.Module | None:
    """One layer that computes a whole `Parallel`, or None where its branches are not linear."""
    leaves = [_leaf(parallel.get_submodule(name)) for name in parallel.branches]
    convolutions = [leaf for leaf in leaves if _is_convolution(leaf)]
    merged: nn.Conv2d | nn.Linear
    if isinstance(parallel.join, layers.Add | layers.Subtract) and convolutions:
        if not all(_is_convolution(leaf) or type(leaf) is nn.BatchNorm2d or _is_identity(leaf) for leaf in leaves):
            return None
        widest = max(convolutions, key=lambda leaf: leaf.kernel_size[0])
        apart = any(leaf.kernel_size != widest.kernel_size for leaf in convolutions)
        apart = apart or any(type(leaf) is shaping.Subsample for leaf in leaves)
        if isinstance(widest, layers.SameConv2d) and apart:
            return None  # with stride, SAME padding puts the centres of a 3x3 and a 1x1 kernel on different pixels
        signs = [1] + [-1 if isinstance(parallel.join, layers.Subtract) else 1] * (len(leaves) - 1)
        merged = _sum_convolutions(widest, leaves, signs)
    elif isinstance(parallel.join, layers.Average) and not parallel.join.separate:
        linears = [leaf for leaf in leaves if type(leaf) is nn.Linear]
        if len(linears) < len(leaves):
            return None
        merged = copy.deepcopy(linears[0])
        with torch.no_grad():
            merged.weight.copy_(torch.stack([leaf.weight for leaf in linears]).mean(0))
            merged.bias.copy_(torch.stack([leaf.bias for leaf in linears]).mean(0))
    else:
        return None
    _check(parallel, merged)
    return merged


def _sum_convolutions(widest: nn.Conv2d, summands: Sequence[nn.Module], signs: Sequence[int]) -> nn.Conv2d:
    merged = copy.deepcopy(widest)
    weight, bias = torch.zeros_like(widest.weight), widest.weight.new_zeros(widest.out_channels)
    for each, sign in zip(summands, signs, strict=True):
        kernel, shift = (each.weight, each.bias) if _is_convolution(each) else _identity_kernel(each, widest)
        margin = (weight.shape[-1] - kernel.shape[-1]) // 2
        weight = weight + sign * nn.functional.pad(kernel, [margin] * 4)
        bias = bias + (0 if shift is None else sign * shift)
    with torch.no_grad():
        merged.weight.copy_(weight)
    merged.bias = nn.Parameter(bias.detach())
    return merged


def _identity_kernel(identity: nn.Module, like: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """The 1x1 kernel and bias of an identity, perhaps with a batch norm, as a convolution with the groups of `like`."""
    gain, shift = _affine(identity) if isinstance(identity, BatchNorm) else (like.weight.new_ones(()), None)
    group = like.in_channels // like.groups
    kernel = like.weight.new_zeros(like.out_channels, group, 1, 1)
    outputs = torch.arange(like.out_channels)
    kernel[outputs, outputs % group, 0, 0] = gain.to(kernel.dtype)
    return kernel, shift


def _is_identity(leaf: nn.Module) -> bool:
    """Whether a branch gives what it gets, perhaps every other pixel of it: a 1x1 convolution with that stride."""
    return type(leaf) in (nn.Identity, shaping.Subsample) or (isinstance(leaf, layers.Chain) and not len(leaf))


def _leaf(module: nn.Module) -> nn.Module:
    while isinstance(module, nn.Sequential) and len(module) == 1:
        module = module[0]
    return module


@torch.no_grad()
def _check(before: nn.Module, after: nn.Module) -> None:
    """Compare a part with its folded form on random input."""
    first = next(m for m in after.modules() if isinstance(m, nn.Conv2d | nn.Linear | map_norms.RmsNorm))
    weight = first.weight
    if weight.is_meta:
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_probe_shape(first), generator=generator, dtype=torch.float32).to(weight.device, weight.dtype)
    expected, got = before.eval()(x), after(x)
    error = ((expected - got).abs().max() / expected.abs().max().clamp_min(1e-12)).item()
    if not error <= TOLERANCE.get(weight.dtype, 1e-2):
        raise ParityError(
            f"folding changed what a part computes: relative error {error:.2g} on random input in {weight.dtype}, "
            f"allowed {TOLERANCE.get(weight.dtype, 1e-2):.0e}. The part: {before}"
        )


def _probe_shape(first: Scaled) -> tuple[int, ...]:
    """A small input that is not square and lets the kernel move in both directions."""
    if isinstance(first, map_norms.RmsNorm):
        return (2, len(first.weight), 9, 8)
    if isinstance(first, nn.Linear):
        return (2, first.in_features)
    margins = (0, 0) if isinstance(first.padding, str) else first.padding
    sizes = zip(first.dilation, first.kernel_size, first.stride, margins, strict=True)
    reach = [d * (k - 1) + 2 * s - margin for d, k, s, margin in sizes]
    return (2, first.in_channels, max(9, reach[0] + 1), max(8, reach[1]))
