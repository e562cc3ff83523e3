"""Uniform scaling: the same network, narrower or wider, on smaller or larger images.

Source: MobileNetV1, arXiv:1704.04861, section 3.3, the width and resolution multipliers.
"""

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import scale_width, total_stride
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry

WIDTHS = tuple(round(0.05 * place, 2) for place in range(1, 41))
RESOLUTIONS = (1.0, 6 / 7, 5 / 7, 4 / 7, 3 / 7)


def scaling(problem: Problem) -> Proposals:
    """At every resolution the widest network within the budget; then at each the next narrower one, and so on."""
    seed = problem.network
    assert seed is not None
    widest = {side: _widest(problem, side) for side in resolutions(seed)}
    for less in range(len(WIDTHS)):
        places = {side: place - less for side, place in widest.items() if place >= less}
        yield (Proposal(network=scaled(seed, WIDTHS[place], side)) for side, place in places.items())


def resolutions(network: Network) -> list[int]:
    """Image heights in pixels at which a network is tried, its own first; each leaves whole positions at the end."""
    own, stride = network.input[1], total_stride(network)
    smaller = {max(round(own * share / stride), 2) * stride for share in RESOLUTIONS[1:]}
    return [own, *sorted((side for side in smaller if side < own), reverse=True)]


def scaled(network: Network, width: float, side: int) -> Network:
    """The network with its channels multiplied, for images of another height, in the same aspect."""
    _, height, wide = network.input
    narrowed = network if width == 1.0 else scale_width(network, width)
    return msgspec.structs.replace(narrowed.at(height=side, width=round(wide * side / height)), name=network.name)


def _widest(problem: Problem, side: int) -> int:
    """The place in `WIDTHS` of the widest network within the budget; -1 if there is none."""
    assert problem.network is not None
    low, high = -1, len(WIDTHS) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if problem.fits(scaled(problem.network, WIDTHS[middle], side)):
            low = middle
        else:
            high = middle - 1
    return low


SCALING = Entry(scaling, "network")
