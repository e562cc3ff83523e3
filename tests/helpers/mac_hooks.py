"""A second counter, written without the package's: a hook on every module that multiplies."""

from collections import Counter

import torch
from torch import nn

from ridgepoint.nn import attention, layers


def macs_by_hooks(model: nn.Module, input_shape: tuple[int, ...]) -> Counter:
    """MACs of one image per module path and for every path above it; the empty path is the whole."""
    counts: Counter = Counter()

    def add(path: str, macs: int) -> None:
        steps = path.split(".")
        for length in range(len(steps) + 1):
            counts[".".join(steps[:length])] += macs

    def convolution(path):
        def hook(module, _inputs, out):
            area = module.kernel_size[0] * module.kernel_size[1]
            for each in out if isinstance(out, list) else [out]:
                add(path, each[0].numel() * area * module.in_channels // module.groups)

        return hook

    def linear(path):
        return lambda module, _inputs, out: add(path, out[0].numel() * module.in_features)

    def self_attention(path):
        def hook(module, inputs, _out):
            tokens = inputs[0].shape[1]
            add(path, module.heads * tokens * tokens * (module.key_dim + module.value_dim))

        return hook

    def shared_key_attention(path):
        def hook(module, inputs, _out):
            query, key, _ = inputs
            pairs = query.shape[2] * query.shape[3] * key.shape[2] * key.shape[3]
            add(path, module.heads * pairs * (module.key_dim + module.value_dim))

        return hook

    def heads_of_a_map(path):
        def hook(module, inputs, _out):
            tokens = inputs[0].shape[2] * inputs[0].shape[3]
            add(path, module.heads * tokens * tokens // module.patch**2 * (module.key_dim + module.value_dim))

        return hook

    def talking_attention(path):
        def hook(module, inputs, _out):
            query, key, _ = inputs[0]
            pairs = query.shape[2] * query.shape[3] * key.shape[2] * key.shape[3]
            talk = 2 * module.heads if module.talks else 0
            add(path, module.heads * pairs * (module.key_dim + module.value_dim + talk))

        return hook

    def linear_attention(path):
        def hook(module, inputs, _out):
            tokens = inputs[0].shape[2] * inputs[0].shape[3]
            add(path, 2 * module.heads * tokens * module.key_dim * (module.value_dim + 1))

        return hook

    kinds = (
        (nn.Conv2d, convolution),
        (nn.Linear, linear),
        (layers.SelfAttention, self_attention),
        (layers.MultiQueryAttention, shared_key_attention),
        (attention.MultiHeadAttention, heads_of_a_map),
        (attention.TalkingAttention, talking_attention),
        (attention.LinearAttention, linear_attention),
    )
    handles = [
        module.register_forward_hook(make(path))
        for path, module in model.named_modules()
        for kind, make in kinds
        if isinstance(module, kind)
    ]
    like = next(model.parameters())
    with torch.no_grad():
        model.eval()(torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype))
    for handle in handles:
        handle.remove()
    return counts
