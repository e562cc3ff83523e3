"""The zoo networks that a found network has to beat: those that meet the same budget on the same machine."""

import statistics
from collections.abc import Callable
from contextlib import suppress

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import family, list_rivals, load, top1
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

    First the largest of each family, by their published top-1, then smaller ones of these families. To ask for a
    latency may take seconds, so few are asked for: of each family about where those of before lead one to expect its
    largest.
    """
    if not count or not zoo:
        return []
    asked = _Asked(latency, budget_ms, progress, go_on)
    left, found = list(zoo.values()), list[tuple[list[Network], int]]()
    asked.fits(left[0][0])  # the smallest of all: how long a MAC takes
    while left and asked.ms and len(found) < count and go_on():
        networks = max(left, key=asked.promise)
        left.remove(networks)
        if (largest := asked.largest(networks)) is not None:
            found.append((networks, largest))
    chosen = [networks[largest] for networks, largest in found]
    others = sorted((each for networks, largest in found for each in networks[:largest]), key=_strength, reverse=True)
    for network in others:
        if len(chosen) < count and asked.fits(network):
            chosen.append(network)
    return [(network, asked.ms[network.name]) for network in chosen]


class _Asked:
    """What is known of networks' latencies."""

    def __init__(
        self, latency: LatencyModel, budget_ms: float, progress: Callable[[str], None], go_on: Callable[[], bool]
    ):
        self.latency, self.budget_ms, self.progress, self.go_on = latency, budget_ms, progress, go_on
        self.ms, self.per_mac = dict[str, float](), list[float]()

    def fits(self, network: Network) -> bool:
        """Whether it meets the budget, as far as there is time to ask."""
        if network.name not in self.ms:
            if not self.go_on():
                return False
            self.progress(network.name)
            self.ms[network.name] = self.latency.latency(network).ms
            self.per_mac.append(self.ms[network.name] / _macs(network))
        return self.ms[network.name] <= self.budget_ms

    def promise(self, networks: list[Network]) -> tuple[bool, float, int]:
        """How strong a family is within the budget; first whether any of it should be."""
        expected = networks[self.expected(networks)]
        return _macs(expected) <= self._macs_allowed, *_strength(expected)

    def expected(self, networks: list[Network]) -> int:
        """The largest of a family, smallest first, that should meet the budget."""
        return max(sum(_macs(network) <= self._macs_allowed for network in networks) - 1, 0)

    @property
    def _macs_allowed(self) -> float:
        """So many take as long as the budget, if a MAC takes as long as usual."""
        return self.budget_ms / statistics.median(self.per_mac)

    def largest(self, networks: list[Network]) -> int | None:
        """The largest of a family that meets the budget; None if none does."""
        at = self.expected(networks)
        if self.fits(networks[at]):
            while at + 1 < len(networks) and self.fits(networks[at + 1]):
                at += 1
            return at
        return next((smaller for smaller in reversed(range(at)) if self.fits(networks[smaller])), None)


def _strength(network: Network) -> tuple[float, int]:
    return top1(network.name), _macs(network)


def _macs(network: Network) -> int:
    return cost(network, form="deploy").macs
