"""What a network costs: counts, rooflines and latency tables. No torch here."""
