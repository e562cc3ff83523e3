"""The zoo networks that a found network has to beat: those that meet the same budget on the same machine."""

from collections.abc import Callable
from contextlib import suppress

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import family, list_rivals, load
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import LatencyModel
from ridgepoint.errors import ArchitectureError


def zoo_networks(channels: int, height: int, width: int, num_classes: int) -> dict[str, list[Network]]:
    """The zoo's rivals for an input, by family, smallest first; the families in the order of their smallest members.

    On images so small that a network would end in less than a 2x2 map, its earliest strides are set to 1. Networks that
    take no image of such a size are left out.
    """
    given = {"channels": channels, "height": height, "width": width, "num_classes": num_classes}
    families: dict[str, list[Network]] = {}
    rivals = []
    for network in (suited(load(name), **given) for name in list_rivals()):
        with suppress(ArchitectureError):
            rivals.append((_macs(network), network.name, network))
    for *_, network in sorted(rivals, key=lambda each: each[:2]):
        families.setdefault(family(network.name), []).append(network)
    return families


def within_budget(
    zoo: dict[str, list[Network]],
    latency: LatencyModel,
    budget_ms: float,
    *,
    count: int,
    progress: Callable[[str], None] = lambda name: None,
    go_on: Callable[[], bool] = lambda: True,
) -> list[tuple[Network, float]]:
    """Networks that meet the budget by the given model, with their milliseconds: the strongest rivals first.

    First the largest of each family, by MACs, then the others. A family is left when a member is over the budget,
    and all of them when `go_on` says no.
    """
    if not count:  # to ask for a latency may take seconds
        return []
    fitting: dict[str, list[tuple[Network, float]]] = {}
    for name, networks in zoo.items():
        fitting[name] = []
        for network in networks:
            if not go_on():
                break
            progress(network.name)
            ms = latency.latency(network).ms
            if ms > budget_ms:
                break
            fitting[name].append((network, ms))
    largest = [found[-1] for found in fitting.values() if found]
    others = [pair for found in fitting.values() for pair in found[:-1]]
    ranked = sorted(largest, key=lambda p: -_macs(p[0])) + sorted(others, key=lambda p: -_macs(p[0]))
    return ranked[:count]


def _macs(network: Network) -> int:
    return cost(network, form="deploy").macs
