"""How a network is taught: recipe, loop, checkpoints."""
