"""A latency model that counts what it is asked."""

from ridgepoint.arch.network import Network
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import TabledLatency


class MacsLatency:
    """A latency model: a millisecond for every million MACs. Remembers what it was asked."""

    def __init__(self):
        self.asked: list[str] = []

    def latency(self, network: Network) -> TabledLatency:
        self.asked.append(network.name)
        return TabledLatency(ms=macs_ms(network), device="paper", runtime="none", threads=1, rows=1)


def macs_ms(network: Network) -> float:
    return cost(network, form="deploy").macs / 1e6
