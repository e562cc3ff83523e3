"""A network in a few words, where its name alone says nothing."""

from ridgepoint.arch.network import Network, place_blocks


def in_words(network: Network) -> str:
    """Input size, depth and width, for example ``96 px, 13 blocks, 16 to 320 channels``."""
    _, height, width = network.input
    *blocks, _ = place_blocks(network)
    channels = [block.output.channels for block in blocks]
    size = f"{height} px" if height == width else f"{height} x {width} px"
    return f"{size}, {len(blocks)} blocks, {min(channels)} to {max(channels)} channels"
