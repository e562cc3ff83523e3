"""What leaves parts of a network on its way to the head."""

from collections.abc import Collection

from torch import Tensor, nn

from ridgepoint.nn.layers import Parallel


def run(module: nn.Module, x: Tensor, path: str, taps: Collection[str], found: dict[str, Tensor]) -> Tensor:
    """A module's answer, put together from those of its parts as far as some of them are tapped.

    Args:
        module: The module.
        x: Its input.
        path: Where it is in the network.
        taps: Paths of parts, of which those within it count.
        found: Gets what leaves each of them, by path.
    """
    inside = any(tap.startswith(f"{path}.") for tap in taps)
    if inside and isinstance(module, nn.Sequential):
        for name, part in module.named_children():
            x = run(part, x, f"{path}.{name}", taps, found)
    elif inside and isinstance(module, Parallel):
        branches = [run(module.get_submodule(name), x, f"{path}.{name}", taps, found) for name in module.branches]
        x = module.join(*branches)
    else:
        x = module(x)
    if path in taps:
        found[path] = x
    return x
