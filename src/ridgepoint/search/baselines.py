"""The zoo networks that a found network has to beat: those that meet the same budget on the same machine."""

from collections.abc import Callable

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import LatencyModel

FAMILIES = {
    "mobilenetv4": ("mobilenetv4_conv_small_035", "mobilenetv4_conv_small_050", "mobilenetv4_conv_small",
                    "mobilenetv4_conv_medium", "mobilenetv4_conv_large"),
    "mobilenetv3": ("mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100",
                    "mobilenetv3_large_075", "mobilenetv3_large_100"),
    "mobilenetv2": ("mobilenetv2_050", "mobilenetv2_100", "mobilenetv2_140"),
    "mobileone": ("mobileone_s0", "mobileone_s1", "mobileone_s2"),
    "mobilenetv1": ("mobilenetv1_100",),
}  # fmt: skip


def zoo_networks(channels: int, height: int, width: int, num_classes: int) -> dict[str, list[Network]]:
    """The mobile networks of the zoo for an input, by family, smallest first.

    On images so small that a network would end in less than a 2x2 map, its earliest strides are set to 1.
    """
    given = {"channels": channels, "height": height, "width": width, "num_classes": num_classes}
    suiting = {family: [suited(load(name), **given) for name in names] for family, names in FAMILIES.items()}
    return {family: sorted(networks, key=_macs) for family, networks in suiting.items()}


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
    for family, networks in zoo.items():
        fitting[family] = []
        for network in networks:
            if not go_on():
                break
            progress(network.name)
            ms = latency.latency(network).ms
            if ms > budget_ms:
                break
            fitting[family].append((network, ms))
    largest = [found[-1] for found in fitting.values() if found]
    others = [pair for found in fitting.values() for pair in found[:-1]]
    ranked = sorted(largest, key=lambda p: -_macs(p[0])) + sorted(others, key=lambda p: -_macs(p[0]))
    return ranked[:count]


def _macs(network: Network) -> int:
    return cost(network, form="deploy").macs
