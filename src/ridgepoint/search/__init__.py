"""How a network is found: study, candidates, methods."""
